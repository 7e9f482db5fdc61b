"""`pilotfish ask`: one question to one model, streamed to the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from pilotfish.cli._common import collaboration_of

if TYPE_CHECKING:
    from pilotfish.model import Trace

__all__ = ["command"]


@click.command("ask")
@click.argument("file")
@click.argument("prompt")
@click.option("--model", "-m", help="Which model of the file; its default otherwise.")
@click.option("--system", help="A system message to put before the question.")
@click.option("--max-tokens", type=click.IntRange(1), help="The most tokens of the answer.")
@click.option("--temperature", type=click.FloatRange(0), help="0 is greedy; the model's own default otherwise.")
@click.option("--seed", type=int, help="Of the sampling.")
@click.option("--trace", is_flag=True, help="Show every call made: tokens, seconds, cost; and every decision.")
@click.option("--json", "as_json", is_flag=True, help="Print the reply and its trace as JSON.")
def command(
    file: str,
    prompt: str,
    model: str | None,
    system: str | None,
    max_tokens: int | None,
    temperature: float | None,
    seed: int | None,
    trace: bool,
    as_json: bool,
) -> None:
    """Ask FILE's model the PROMPT ("-" reads it from standard input).

    FILE is a collaboration file (TOML), or the name of one model: a catalog name, hf:org/name, a folder, a GGUF file,
    or openai:NAME.
    """
    from pilotfish._sync import wait
    from pilotfish.errors import ModelError
    from pilotfish.model import Delta, Message, Reply, Request

    models = collaboration_of(file)
    name = model or models.default
    models.check(name)
    messages = (*((Message("system", system),) if system else ()), Message("user", _text(prompt)))
    request = Request(messages=messages, max_tokens=max_tokens, temperature=temperature, seed=seed)

    async def go() -> Reply:
        chosen = models.model(name)
        last = Delta()
        begun = False
        try:
            async for last in chosen.stream(request):
                if not as_json and last.text:
                    begun = True
                    click.echo(last.text, nl=False)
        finally:
            if begun:
                click.echo()
            await models.aclose()
        if last.reply is None:
            raise ModelError(f"{chosen.name} ended its answer without the whole reply")
        return last.reply

    reply = wait(go())
    if as_json:
        import json

        shown: dict[str, object] = {
            "text": reply.text,
            "finish_reason": reply.finish_reason,
            "trace": reply.trace.to_json(),
        }
        if reply.logprobs:
            shown["mean_logprob"] = reply.mean_logprob
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    for call in reply.tool_calls:
        click.echo(f"{call.name}({call.arguments})")
    if trace:
        _show(reply.trace)


def _text(prompt: str) -> str:
    """Return the prompt, or what standard input holds.

    Raises:
        DataError: it is empty, or not UTF-8.
    """
    from pilotfish.errors import DataError

    try:
        text = sys.stdin.buffer.read().decode("utf-8") if prompt == "-" else prompt
    except UnicodeDecodeError as error:
        raise DataError(f"standard input: not UTF-8 (byte {error.start})") from None
    if not text.strip():
        raise DataError("the prompt is empty")
    return text


def _show(trace: Trace) -> None:
    """Print the calls and decisions of a trace, and the passages answered from, on standard error."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=True)
    if not console.is_terminal:
        console = Console(stderr=True, width=200)  # a file has no edge to wrap at
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("call", "role", "tokens in", "tokens out", "seconds", "cost $", ""):
        table.add_column(
            title, justify="right" if title in ("tokens in", "tokens out", "seconds", "cost $") else "left"
        )
    for call in trace.calls:
        cost = "unknown" if call.cost is None else f"{call.cost:.6f}"
        note = ", ".join(part for part in ("cached" if call.cached else "", call.why) if part)
        table.add_row(
            Text(call.model),
            call.role,
            f"{call.tokens_in:,}",
            f"{call.tokens_out:,}",
            f"{call.seconds:.3f}",
            cost,
            Text(note),
        )
    usage = trace.usage
    total = "unknown" if trace.cost is None else f"{trace.cost:.6f}"
    table.add_row(
        "all", "", f"{usage.tokens_in:,}", f"{usage.tokens_out:,}", f"{trace.seconds:.3f}", total, style="bold"
    )
    console.print(table)
    for decision in trace.decisions:
        score = "" if decision.score is None else f" (score {decision.score:.4f})"
        console.print(f"{decision.model}: {decision.verdict}{score}", markup=False, highlight=False)
    for source in trace.sources:
        place = f" {source.document} {source.start}-{source.end}" if source.end and source.document else ""
        said = ["cited"] if source.cited else []
        said += [] if source.supported is None else [f"supports {source.supported:.2f}"]
        told = f" ({', '.join(said)})" if said else ""
        console.print(f"[{source.number}] {source.id}{place}{told}", markup=False, highlight=False)
