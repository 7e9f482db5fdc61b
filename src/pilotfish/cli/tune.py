"""`pilotfish tune`: a small model fine-tuned on a domain's texts."""

from __future__ import annotations

from typing import Any

import click

from pilotfish.cli._common import Stopped, format_options, rows_with_text, say, say_rejects

__all__ = ["command"]


@click.command("tune")
@click.argument("texts")
@click.option("--model", "-m", required=True, help="Weights: a catalog name, hf:org/name, a folder or a GGUF file.")
@click.option("--text", default="text", show_default=True, help="The column that holds the texts.")
@click.option("--prompt", help="The column of prompts that the texts answer: a knowledge card of questions.")
@click.option("--out", required=True, help="The folder for the expert; what a stopped run needs is kept there.")
@click.option("--rank", type=click.IntRange(0), default=16, show_default=True, help="Of the adapters; 0: all weights.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=2e-4, show_default=True, help="Learning rate.")
@click.option("--epochs", type=click.IntRange(1), default=1, show_default=True, help="How often each text is seen.")
@click.option("--max-tokens", type=click.IntRange(1), help="Stop after about so many training tokens.")
@click.option("--batch-tokens", type=click.IntRange(1), default=2048, show_default=True, help="Tokens a step.")
@click.option("--length", type=click.IntRange(2), default=512, show_default=True, help="Tokens a piece of text.")
@click.option("--held-out", type=float, default=0.1, show_default=True, help="Share of texts to measure on.")
@click.option("--dtype", default="auto", show_default=True, help="Of the frozen weights, and of the result.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the split, the order and the adapters.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@format_options
@click.option("--quiet", is_flag=True, help="No progress.")
def command(
    texts: str, model: str, text: str, prompt: str | None, out: str, as_json: bool, quiet: bool, **flags: Any
) -> None:
    """Fine-tune MODEL on the texts of a file of rows, and measure it on texts it did not see.

    The result is a folder of weights: name it as `expert` of a model with use = "proxy-tuned", with the model it came
    from as `anti_expert`, and it steers a larger model of the same family that stays as it is. With --prompt it learns
    to answer prompts with the texts: a card of a model with use = "knowledge". The same command goes on where a stopped
    run was.
    """
    import json

    from pilotfish.adapt.expert import Tuning, tune
    from pilotfish.models._weights import check_dtype
    from pilotfish.rows import Rejects
    from pilotfish.rows._json import shown

    check_dtype(flags["dtype"])
    options = {name: flags[name] for name in ("format_", "encoding", "strict")}
    rejects = Rejects()
    rows = rows_with_text(texts, rejects, text, prompt, **options)
    if prompt is not None:
        for place, row in enumerate(rows, 1):
            if not isinstance(row[prompt], str):
                rejects.add(texts, None, f"no prompt in {prompt!r}: row {place} of those with a text", shown(row))
        rows = [row for row in rows if isinstance(row[prompt], str)]
    say_rejects(rejects)
    names = ("rank", "rate", "epochs", "max_tokens", "batch_tokens", "length", "held_out", "seed")
    tuning = Tuning(**{name: flags[name] for name in names})
    try:
        report = tune(
            model,
            [str(row[text]) for row in rows],
            out,
            tuning,
            prompts=None if prompt is None else [str(row[prompt]) for row in rows],
            dtype=flags["dtype"],
            device=flags["device"],
            progress=not quiet,
        )
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on from the last checkpoint in {out}") from None
    if as_json:
        click.echo(json.dumps(report.to_json()))
    else:
        say(str(report))
