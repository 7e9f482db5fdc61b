"""`pilotfish ask`: one question to one model, streamed to the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import click

__all__ = ["command"]


@click.command("ask")
@click.argument("file")
@click.argument("prompt")
@click.option("--model", "-m", help="Which model of the file; its default otherwise.")
@click.option("--system", help="A system message to put before the question.")
@click.option("--max-tokens", type=click.IntRange(1), help="The most tokens of the answer.")
@click.option("--temperature", type=click.FloatRange(0), help="0 (greedy) unless said otherwise.")
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
    from pilotfish.assemble import Collaboration, model_of
    from pilotfish.errors import ConfigError, DataError
    from pilotfish.model import Delta, Message, Reply, Request

    if file.endswith(".toml"):
        collaboration = Collaboration.load(file)
    elif Path(file).suffix and Path(file).is_file() and not file.endswith(".gguf"):
        raise ConfigError(f"{file}: a collaboration file ends in .toml")
    else:
        collaboration = Collaboration({"models": {"assistant": model_of(file)[1]}}, where=file)
    text = sys.stdin.read() if prompt == "-" else prompt
    if not text.strip():
        raise DataError("the prompt is empty")
    messages = (*((Message("system", system),) if system else ()), Message("user", text))
    request = Request(messages=messages, max_tokens=max_tokens, temperature=temperature, seed=seed)

    async def go() -> Reply:
        chosen = collaboration.model(model)
        last = Delta()
        try:
            async for last in chosen.stream(request):
                if not as_json and last.text:
                    click.echo(last.text, nl=False)
        finally:
            await collaboration.aclose()
        if last.reply is None:
            raise DataError(f"{chosen.name} ended its answer without the whole reply")
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
    click.echo()
    for call in reply.tool_calls:
        click.echo(f"{call.name}({call.arguments})")
    if trace:
        _show(reply.trace)


def _show(trace: object) -> None:
    """Print the calls and decisions of a trace on standard error."""
    from rich.console import Console
    from rich.table import Table

    from pilotfish.model import Trace

    assert isinstance(trace, Trace)
    console = Console(stderr=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("call", "role", "tokens in", "tokens out", "seconds", "cost $", ""):
        table.add_column(
            title, justify="right" if title in ("tokens in", "tokens out", "seconds", "cost $") else "left"
        )
    for call in trace.calls:
        cost = "unknown" if call.cost is None else f"{call.cost:.6f}"
        note = ", ".join(part for part in ("cached" if call.cached else "", call.why) if part)
        table.add_row(
            call.model, call.role, f"{call.tokens_in:,}", f"{call.tokens_out:,}", f"{call.seconds:.3f}", cost, note
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
