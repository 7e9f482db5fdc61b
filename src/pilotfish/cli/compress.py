"""`pilotfish compress`: a text, or the texts of rows, in fewer tokens; and what decides which, taught."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import RunsFile, Stopped, format_options, rows_of, say

if TYPE_CHECKING:
    from pilotfish.assemble._specs_compress import CompressorSpec
    from pilotfish.prompt.compress import Compressor

__all__ = ["command"]

WAYS = ("perplexity", "question", "tokens", "sentences")
ROWS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow")
SETTINGS = ("by", "weights", "rank", "encoder", "factor", "segment", "one_pass", "dtype", "device", "count")


@click.group("compress", cls=RunsFile)
def command() -> None:
    """Say a text in fewer tokens, within an exact budget; what is kept is the text's own words.

    `pilotfish compress FILE --budget 500` is short for `pilotfish compress run FILE --budget 500`; `train` teaches the
    token classifier that `--by tokens` goes by.
    """


@command.command(RunsFile.run)
@click.argument("src", default="-")
@click.option("--budget", type=click.IntRange(1), help="Tokens at most, of each text.")
@click.option("--rate", type=click.FloatRange(0, 1, min_open=True), help="Instead: the share of its tokens.")
@click.option("--question", help="What the text is to answer; by it decides what is kept, but for --by perplexity.")
@click.option("--by", type=click.Choice(WAYS), help="How.  [default: question, or perplexity without one]")
@click.option("--weights", help="The small language model, or the taught classifier's folder.")
@click.option("--rank", type=click.Choice(("words", "vectors", "both", "question", "perplexity")), help="Of sentences.")
@click.option("--encoder", help="Of --rank vectors.")
@click.option("--factor", type=click.FloatRange(1), help="Times the budget that --rank leaves.  [default: 2]")
@click.option("--segment", type=click.IntRange(8), help="Tokens of a segment.  [default: 200]")
@click.option("--one-pass", is_flag=True, help="Read the text once, not segment by segment.")
@click.option("--count", help="The target's tokenizer, by weights; or words, characters.  [default: the small model's]")
@click.option("--protect", help="Kinds, separated by commas: numbers,code,json,quotes,names; none for nothing.")
@click.option("--pattern", "patterns", multiple=True, help="A regular expression to protect; repeatable.")
@click.option("--dtype", type=click.Choice(("auto", "bfloat16", "float16", "float32")), help="Of the small model.")
@click.option("--device", help="Of the small model.")
@click.option("--out", type=click.Path(path_type=Path), help="Of rows: the folder for them.")
@click.option("--text", default="text", show_default=True, help="Of rows: the column of the texts.")
@click.option("--question-column", help="Of rows: the column of their questions.")
@click.option("--into", default="compressed", show_default=True, help="Of rows: the column of what is left.")
@click.option("--json", "as_json", is_flag=True, help="Print text, spans and figures as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
@format_options
def run(src: str, **flags: Any) -> None:
    """Print the text of SRC (- is standard input) in fewer tokens; or, with --out, make the texts of rows shorter.

    The budget is met to the token, counted as the target counts. Numbers, code, JSON, quotations and names are kept
    whole, or dropped with their sentence.
    """
    from pilotfish.errors import ConfigError

    if (flags["budget"] is None) == (flags["rate"] is None):
        raise ConfigError("give --budget or --rate")
    if flags["out"] is None and src.endswith(ROWS):
        raise ConfigError(f"{src} holds rows: give --out, the folder for them")
    asks = flags["question"] is not None or flags["question_column"] is not None
    spec = _spec(flags, asks=asks)
    compressor = _compressor(spec)
    if flags["out"] is not None:
        _rows(src, compressor, spec, flags)
        return
    text = _read(src, flags["encoding"])
    found = compressor.text(text, budget=flags["budget"], rate=flags["rate"], question=flags["question"] or "")
    if flags["as_json"]:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False))
        return
    click.echo(found.text)
    lost = f", {len(found.lost)} protected stretches dropped" if found.lost else ""
    say(f"{found.before:,} to {found.after:,} {found.unit} of {found.budget:,}{lost}")


def _spec(flags: dict[str, Any], *, asks: bool) -> CompressorSpec:
    from pilotfish.assemble._specs_compress import CompressorSpec
    from pilotfish.assemble.check import checked

    given = {name: flags[name] for name in SETTINGS if flags[name] not in (None, False)}
    given.setdefault("by", "question" if asks else "perplexity")
    if flags["protect"] is not None:
        given["protect"] = [name.strip() for name in flags["protect"].split(",") if name.strip() not in ("", "none")]
    return checked(CompressorSpec, given | {"patterns": list(flags["patterns"])}, "pilotfish compress")


def _compressor(spec: CompressorSpec) -> Compressor:
    from pilotfish.assemble._build_compress import ENCODER, LM, compressor_of, count_of
    from pilotfish.models.catalog import Catalog

    catalog, here = Catalog.load(), Path()
    usual = spec.weights or LM if spec.by in ("perplexity", "question") else spec.encoder or ENCODER
    if spec.count is None:
        say(f"tokens are counted as {usual} counts them; --count names the target's tokenizer")
    count = count_of("pilotfish compress", spec.count or usual, None, catalog, here)
    return compressor_of(spec, count, catalog, here)


def _read(src: str, encoding: str | None) -> str:
    from pilotfish.errors import DataError
    from pilotfish.rows._open import opened

    with opened(src, "standard input" if src == "-" else src) as (raw, _):
        try:
            return raw.read().decode(encoding or "utf-8-sig")
        except (UnicodeDecodeError, LookupError) as error:
            raise DataError(f"{src}: {error}; name its --encoding, such as latin-1") from None


def _rows(src: str, compressor: Compressor, spec: CompressorSpec, flags: dict[str, Any]) -> None:
    from pilotfish.prompt.compress.stage import Shortened
    from pilotfish.rows import run as run_rows

    stage = Shortened(
        compressor,
        budget=flags["budget"],
        rate=flags["rate"],
        text=flags["text"],
        question=flags["question_column"],
        asked=flags["question"] or "",
        into=flags["into"],
        told=spec.model_dump(mode="json", exclude={"device"}),
    )
    options = {"format": flags["format_"], "encoding": flags["encoding"], "strict": flags["strict"]}
    out = flags["out"]
    try:
        report = run_rows(
            src, stage, out, progress=not flags["quiet"], read_options={k: v for k, v in options.items() if v}
        )
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the rows so far are in {out}: the same command goes on from there") from None
    say(f"{report.rows_out:,} rows in {out}" + (f", {report.rejected:,} rejected" if report.rejected else ""))


@command.command("train")
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def train(file: str, as_json: bool, quiet: bool) -> None:
    """Teach an encoder which words to keep, from the texts and compressed texts that [compress] of FILE names.

    Who compressed them is of no matter: a large model (ask it by `pilotfish map`), people, or `pilotfish compress`.
    Each text is aligned with what is left of it; those where most was made up, or was not found, are left out. With a
    column of questions it learns to keep what answers them. A share of the texts is kept back, and the report says how
    many of the words that they keep are found. The same command goes on where a stopped run was.
    """
    from dataclasses import replace

    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_encoder import tunable
    from pilotfish.errors import ConfigError
    from pilotfish.prompt.compress import FIT, Pair, teach
    from pilotfish.rows._lock import locked

    models = Collaboration.load(file)
    spec = models.compress
    if spec is None:
        raise ConfigError(f"{file}: no [compress] table: it says which texts are learnt from")
    columns = [spec.text, spec.compressed, *([spec.question] if spec.question is not None else [])]
    rows = rows_of(models, spec.rows, columns)
    pairs = [
        Pair(row[spec.text], row[spec.compressed], row[spec.question] if spec.question is not None else "")
        for row in rows
    ]
    out = models.folder / spec.out
    how = FIT if spec.fit is None else replace(FIT, **spec.fit.model_dump(exclude_unset=True))
    encoder = tunable(spec.encoder, models, out)
    given = {name: getattr(spec, name) for name in ("length", "variation", "gap", "held_out", "head_rate")}
    try:
        with locked(out):
            made, learnt = teach(encoder, pairs, how, folder=out / "run", progress=not quiet, **given)
            made.save(out)
            shutil.rmtree(out / "run", ignore_errors=True)
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on where it was, in {out}") from None
    if as_json:
        click.echo(json.dumps(learnt.to_json()))
    else:
        say(f"{learnt}; the classifier is in {out}")
