"""`pilotfish score`: texts against their references, by any metric, each mean with its interval."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import format_options, read_rows, say, say_rejects
from pilotfish.cli._judged import say_odd, tell, write_report

if TYPE_CHECKING:
    from pilotfish.evaluate.judged import Judged
    from pilotfish.rows import Row

__all__ = ["command"]

LINES = (".txt", ".hyp", ".ref", ".out")


@click.command("score")
@click.argument("candidates")
@click.argument("references", nargs=-1)
@click.option(
    "--metric", "metrics", multiple=True, required=True, help="bertscore, rougeL, bleu, chrf ...; repeatable."
)
@click.option("--file", help="A collaboration file, whose [metrics] can be named and whose models they may use.")
@click.option("--candidate", default="answer", show_default=True, help="Of rows: the column of the texts.")
@click.option("--reference", default="reference", show_default=True, help="Of rows: the column of their references.")
@click.option("--source", default="source", show_default=True, help="Of rows: the column of their sources.")
@click.option("--group-by", help="Of rows: a column; rows with the same value are drawn together for the intervals.")
@click.option("--model", help="A metric's: BERTScore's is an encoder or language model.  [default: all-minilm-l6-v2]")
@click.option("--layer", type=int, help="BERTScore's: after which layer; the last otherwise.")
@click.option("--idf", is_flag=True, help="BERTScore's: weigh tokens by how rare they are in the references.")
@click.option("--rescale", is_flag=True, help="BERTScore's: two references drawn at random score 0.")
@click.option("--dtype", help="Of the model: auto, float32, bfloat16, float16.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of intervals and draws.")
@click.option("--out", help="Write every row with its scores into this JSONL file.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--report", "report_file", help="Write a page (.html) with the worst rows, or the figures (.json).")
@click.option("--worst", type=click.IntRange(0), default=5, show_default=True, help="Rows to show on the page.")
@format_options
def command(candidates: str, references: tuple[str, ...], metrics: tuple[str, ...], **flags: Any) -> None:
    """Score CANDIDATES by REFERENCES: files with a text a line (- is standard input), or one file of rows.

    Several files of references are several references of each line. A file of rows has its references in a column, as
    texts or lists of texts. What is odd about rows (an empty text, one too long for the model) is counted.
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_metrics import metric_named
    from pilotfish.errors import ConfigError
    from pilotfish.evaluate.judged import judged

    models = Collaboration({}, where="score") if flags["file"] is None else Collaboration.load(flags["file"])
    settings = ("candidate", "reference", "source", "model", "layer", "idf", "rescale", "dtype", "seed")
    given = {name: flags[name] for name in settings if flags[name] not in (None, False)}
    wanted = [metric_named(name, models, given) for name in dict.fromkeys(metrics)]
    rows = _rows(candidates, references, [column for metric in wanted for column in metric.columns], flags)
    group = flags["group_by"]
    if group is not None and any(group not in row for row in rows):
        raise ConfigError(f"--group-by: not every row has the column {group!r}")
    groups = None if group is None else [str(row[group]) for row in rows]
    worst = flags["worst"] if flags["report_file"] is not None else 0
    found: list[Judged] = []
    for metric in wanted:
        fitted = metric.fitted(rows)
        found.append(judged(fitted, fitted(rows), rows, groups=groups, seed=flags["seed"], worst=worst))
    _tell(found, flags)
    if flags["out"] is not None:
        _write(Path(flags["out"]), rows, found)
    if flags["report_file"] is not None:
        write_report(Path(flags["report_file"]), found, (), _figures(found), f"{Path(candidates).name}, scored")


def _rows(candidates: str, references: tuple[str, ...], columns: Sequence[str], flags: dict[str, Any]) -> list[Row]:
    """Return rows that have the columns, of lines those of a candidate and its references.

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
    need_columns(rows[0], *columns, source=candidates)
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


def _tell(found: Sequence[Judged], flags: dict[str, Any]) -> None:
    if flags["as_json"]:
        click.echo(json.dumps(_figures(found), ensure_ascii=False))
        say_odd(found)
    else:
        tell(found)


def _figures(found: Sequence[Judged]) -> dict[str, Any]:
    return {one.metric.name: one.to_json() for one in found}


def _write(path: Path, rows: list[Row], found: Sequence[Judged]) -> None:
    from pilotfish.rows._atomic import atomic
    from pilotfish.rows._json import encoded

    with atomic(path) as file:
        for number, row in enumerate(rows):
            columns: Row = {}
            for one in found:
                columns |= one.scores.row(number, one.metric.name)
            file.write(encoded(row | columns) + b"\n")
    say(f"scores in {path}")
