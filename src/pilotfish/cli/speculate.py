"""`pilotfish speculate`: does drafting pay on a user's own prompts, and at which length?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import collaboration_of, say

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.infer.servers import Pair
    from pilotfish.infer.speedup import Length

__all__ = ["command"]


@click.command("speculate")
@click.argument("file")
@click.option("--model", "-m", help="A speculative model of the file, or its target; the file's default otherwise.")
@click.option("--draft", help='Of a target: another model of the file, "prompt-lookup", or "layers:8".')
@click.option("--prompts", help="Text lines, rows with prompt, text or messages, or Spec-Bench's question.jsonl.")
@click.option("--lengths", default="2,4,6,8,auto", show_default=True, help="Draft lengths to compare.")
@click.option("--tree", "trees", multiple=True, help="A draft tree to compare too, such as 3,2,1; may be repeated.")
@click.option("--no-lookup", is_flag=True, help="Leave prompt look-up out.")
@click.option("--limit", type=click.IntRange(1), help="A seeded sample of so many prompts.")
@click.option("--max-tokens", type=click.IntRange(1), default=128, show_default=True, help="Of an answer.")
@click.option("--temperature", type=click.FloatRange(0), help="Greedy otherwise, and answers are compared.")
@click.option("--answers", help="A folder for Spec-Bench answer files, one a way.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--export", "server", help="Print the flags of vllm, llama.cpp or sglang for this pair, and stop.")
@click.option("--length", type=click.IntRange(1), default=4, show_default=True, help="The draft length to export.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(file: str, **flags: Any) -> None:
    """Compare plain decoding of FILE's model with drafting, on your own prompts, and say which to use.

    FILE is a collaboration file (TOML), or the name of one model, which then drafts by prompt look-up. Every way
    answers every prompt, in turn; questions of several turns are played turn by turn. Greedy answers are compared
    with plain decoding's.
    """
    models = collaboration_of(file)
    name = flags["model"] or models.default
    models.check(name)
    target, draft = _pair(models, name, flags["draft"])
    if flags["server"]:
        from pilotfish.infer.servers import export

        click.echo(export(flags["server"], _exported(target, draft, flags["length"])))
        return
    _measure(target, draft, flags)


def lengths_of(text: str) -> list[Length]:
    """Read "2,4,auto".

    Raises:
        ConfigError: neither a number from 1 on nor "auto".
    """
    return ["auto" if part == "auto" else _number(part, 'neither "auto" nor', "--lengths") for part in _parts(text)]


def widths_of(text: str) -> list[int]:
    """Read "3,2,1".

    Raises:
        ConfigError: not a number from 1 on.
    """
    return [_number(part, "not", "--tree") for part in _parts(text)]


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(part: str, told: str, option: str) -> int:
    from pilotfish.errors import ConfigError

    if not (part.isdecimal() and int(part) > 0):
        raise ConfigError(f"{option}: {part!r} is {told} a number from 1 on")
    return int(part)


def _pair(models: Collaboration, name: str, draft: str | None) -> tuple[Any, Any]:
    """Return the target and what drafts for it.

    Raises:
        ConfigError: a draft is given twice, or names no model.
    """
    from pilotfish.errors import ConfigError
    from pilotfish.infer import Layers, SpeculativeModel

    model = models.model(name)
    if isinstance(model, SpeculativeModel):
        if draft is not None:
            raise ConfigError(f"{name} has a draft of its own: leave --draft out, or name its target with --model")
        return model.target, "prompt-lookup" if model.draft is None else model.draft
    if draft is None or draft == "prompt-lookup":
        return model, "prompt-lookup"
    if draft.startswith("layers:"):
        count = draft.removeprefix("layers:")
        if not count.isdecimal():
            raise ConfigError(f"--draft {draft}: give the number of layers, such as layers:8")
        return model, Layers(int(count))
    models.check(draft)
    return model, models.model(draft)


def _exported(target: Any, draft: Any, length: int) -> Pair:
    from pilotfish.errors import ConfigError
    from pilotfish.infer import Layers
    from pilotfish.infer.servers import Pair

    if isinstance(draft, Layers) or not hasattr(target, "weights"):
        raise ConfigError("other servers draft for one model, with a small model or by prompt look-up")
    if draft == "prompt-lookup":
        return Pair(target.weights, None, length)
    from pilotfish.decode.vocabulary import first_difference

    return Pair(target.weights, draft.weights, length, same=first_difference(target.tokenizer, draft.tokenizer) is None)


def _measure(target: Any, draft: Any, flags: dict[str, Any]) -> None:
    from pilotfish.errors import ConfigError
    from pilotfish.infer import Layers
    from pilotfish.infer.questions import read_questions
    from pilotfish.infer.speedup import measure, ways
    from pilotfish.rows._progress import Progress

    if not flags["prompts"]:
        raise ConfigError("--prompts must be given: a file of prompts like those you have")
    trees = [widths_of(text) for text in flags["trees"]]
    questions = read_questions(flags["prompts"], flags["limit"])
    all_ways = ways(target, draft, lengths_of(flags["lengths"]), trees, lookup=not flags["no_lookup"])
    shown = draft if isinstance(draft, str) else f"{draft.count} layers" if isinstance(draft, Layers) else draft.name
    settings = {"max_tokens": flags["max_tokens"], "temperature": flags["temperature"]}
    with Progress(len(questions) * len(all_ways), shown=not flags["quiet"], unit="answers") as progress:
        report = measure(target, all_ways, questions, draft=shown, progress=progress.add, **settings)
    if flags["answers"]:
        report.write_answers(Path(flags["answers"]))
        say(f"answers in {flags['answers']}, one file a way")
    if flags["as_json"]:
        import json

        click.echo(json.dumps(report.to_json(), ensure_ascii=False))
        return
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=140)  # a file has no edge to wrap at
    for part in report.render():
        console.print(part)
    click.echo(report.verdict)
    differing = {way: len(report.answers[way]) - report.identical(way) for way in report.reports}
    if report.greedy and any(differing.values()):
        most = max(differing.values())
        say(f"up to {most} answers differ from plain decoding's: near ties, which rounding decides; float32 has few")
