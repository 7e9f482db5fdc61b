"""`pilotfish score`: texts against their references, by any metric, each mean with its interval."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import format_options, read_rows, say, say_rejects

if TYPE_CHECKING:
    from pilotfish.evaluate.scores import Scores
    from pilotfish.rows import Row

__all__ = ["command"]

LINES = (".txt", ".hyp", ".ref", ".out")


@click.command("score")
@click.argument("candidates")
@click.argument("references", nargs=-1)
@click.option(
    "--metric", "metrics", multiple=True, required=True, help="bertscore, rougeL, bleu, chrf ...; repeatable."
)
@click.option("--candidate", default="answer", show_default=True, help="Of rows: the column of the texts.")
@click.option("--reference", default="reference", show_default=True, help="Of rows: the column of their references.")
@click.option("--group-by", help="Of rows: a column; rows with the same value are drawn together for the intervals.")
@click.option(
    "--model", default="all-minilm-l6-v2", show_default=True, help="BERTScore's: an encoder or language model."
)
@click.option("--layer", type=int, help="BERTScore's: after which layer; the last otherwise.")
@click.option("--idf", is_flag=True, help="BERTScore's: weigh tokens by how rare they are in the references.")
@click.option("--rescale", is_flag=True, help="BERTScore's: two references drawn at random score 0.")
@click.option("--dtype", default="auto", show_default=True, help="Of the model: auto, float32, bfloat16, float16.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of intervals and draws.")
@click.option("--out", help="Write every row with its scores into this JSONL file.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@format_options
def command(candidates: str, references: tuple[str, ...], metrics: tuple[str, ...], **flags: Any) -> None:
    """Score CANDIDATES by REFERENCES: files with a text a line (- is standard input), or one file of rows.

    Several files of references are several references of each line. A file of rows has its references in a column, as
    texts or lists of texts. What is odd about rows (an empty text, one too long for the model) is counted.
    """
    from pilotfish.errors import ConfigError
    from pilotfish.evaluate.metric import over_columns
    from pilotfish.evaluate.named import named

    rows = _rows(candidates, references, flags)
    group = flags["group_by"]
    if group is not None and any(group not in row for row in rows):
        raise ConfigError(f"--group-by: not every row has the column {group!r}")
    every = [one for row in rows for one in _several(row[flags["reference"]])]
    how = {name: flags[name] for name in ("model", "layer", "idf", "rescale", "dtype", "seed")}
    found: dict[str, Scores] = {}
    for name in dict.fromkeys(metrics):
        metric = named(name, every, **how)
        found[name] = over_columns(metric, flags["candidate"], flags["reference"], name=name)(rows)
    groups = None if group is None else [str(row[group]) for row in rows]
    _tell(found, groups, flags)
    if flags["out"] is not None:
        _write(Path(flags["out"]), rows, found)


def _rows(candidates: str, references: tuple[str, ...], flags: dict[str, Any]) -> list[Row]:
    """Return rows with a candidate and its references.

    Raises:
        DataError: files of different length, no rows, or a row without a text.
        ConfigError: lines without a file of references.
    """
    from pilotfish.errors import ConfigError, DataError
    from pilotfish.rows import Rejects, need_columns

    mine, theirs = flags["candidate"], flags["reference"]
    if references:
        if [candidates, *references].count("-") > 1:
            raise ConfigError("only one of the files can be standard input")
        texts = [_lines(file, flags["encoding"]) for file in (candidates, *references)]
        for file, some in zip(references, texts[1:], strict=True):
            if len(some) != len(texts[0]):
                raise DataError(f"{candidates} has {len(texts[0]):,} lines, {file} has {len(some):,}")
        if not texts[0]:
            raise DataError(f"{candidates}: the file is empty")
        rows: list[Row] = [{mine: one, theirs: list(others)} for one, *others in zip(*texts, strict=True)]
        return rows
    if candidates == "-" or Path(candidates).suffix in LINES:
        raise ConfigError("a file of lines needs one of references; a file of rows has them in a column")
    rejects = Rejects()
    options = {name: flags[name] for name in ("strict", "encoding", "format_")}
    rows = list(read_rows(candidates, rejects, **options))
    say_rejects(rejects)
    if not rows:
        raise DataError(f"{candidates}: no usable row")
    need_columns(rows[0], mine, theirs, source=candidates)
    return rows


def _lines(file: str, encoding: str | None) -> list[str]:
    """Return a file's lines, the blank ones too (which rows leave out): another file's lines stand beside them."""
    from pilotfish.errors import DataError
    from pilotfish.rows._open import opened

    with opened(file, "standard input" if file == "-" else file) as (raw, _):
        try:
            text = raw.read().decode(encoding or "utf-8-sig")
        except (UnicodeDecodeError, LookupError) as error:
            raise DataError(f"{file}: {error}; name its --encoding, such as latin-1") from None
    # By line feeds alone: other separators stand in texts.
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines and not lines[-1] else lines


def _several(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _tell(found: dict[str, Scores], groups: list[str] | None, flags: dict[str, Any]) -> None:
    told = {name: scores.mean(groups=groups, seed=flags["seed"]) for name, scores in found.items()}
    if flags["as_json"]:
        figures = {
            name: {"metric": found[name].metric, **mean.to_json(), "odd": found[name].odd()}
            for name, mean in told.items()
        }
        click.echo(json.dumps(figures, ensure_ascii=False))
    else:
        width = max(map(len, told))
        for name, mean in told.items():
            parts = [f"{part} {column.mean():.3f}" for part, column in found[name].parts.items()]
            further = f"  ({', '.join(parts)})" if parts else ""
            click.echo(f"{name:<{width}}  {mean}  n = {len(found[name]):,}{further}")
    for name, scores in found.items():
        for kind, count in scores.odd().items():
            say(f"{name}: {kind}: {count:,} of {len(scores):,} rows")


def _write(path: Path, rows: list[Row], found: dict[str, Scores]) -> None:
    from pilotfish.rows._atomic import atomic
    from pilotfish.rows._json import encoded

    with atomic(path) as file:
        for number, row in enumerate(rows):
            columns: Row = {}
            for name, scores in found.items():
                columns |= scores.row(number, name)
            file.write(encoded(row | columns) + b"\n")
    say(f"scores in {path}")
