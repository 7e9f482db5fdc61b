"""`pilotfish rows`: convert, de-duplicate, decontaminate, split and look at files of rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import format_options, read_rows, rows_with_text, say, say_rejects
from pilotfish.cli._rows_decontaminate import decontaminate
from pilotfish.cli._rows_dedupe import dedupe
from pilotfish.cli._rows_diversity import diversity
from pilotfish.cli._rows_files import REJECTS, TO, rejects_of, shown, tell_duplicates

if TYPE_CHECKING:
    from pilotfish.rows import Rows

__all__ = ["group"]


@click.group("rows")
def group() -> None:
    """Convert, de-duplicate, decontaminate, split and look at files of rows.

    "-" stands for standard input or output. A bad row never stops a command, unless --strict, and is never dropped in
    silence: it goes into a file of rejects, with its line and the reason, and the command says so.
    """


for _command in (dedupe, decontaminate, diversity):
    group.add_command(_command)


@group.command("convert")
@click.argument("src")
@click.argument("dst")
@click.option("--to", help=TO)
@click.option("--columns", help="Keep only these columns, separated by commas.")
@click.option("--split", help="The split to take from a datasets folder with several.")
@click.option("--rejects", "rejects_file", help=REJECTS)
@format_options
def convert(src: str, dst: str, to: str | None, rejects_file: str | None, **options: Any) -> None:
    """Write the rows of SRC to DST in another format, in constant memory."""
    from pilotfish.cli._target import check_target, put

    check_target(dst, to)
    with rejects_of(rejects_file, src, dst) as rejects:
        count = put(read_rows(src, rejects, **options), dst, to)
        say(f"{count:,} rows in {shown(dst)}")
        say_rejects(rejects)


@group.command("split")
@click.argument("src")
@click.option("--parts", default="train=.8,test=.2", show_default=True, help="Names and shares, which sum to 1.")
@click.option("--stratify", help="Give each part its share of every value of this column.")
@click.option("--group", "group_by", help="Keep rows with the same value of this column in one part.")
@click.option("--text", help="Drop near-duplicates by this column first.")
@click.option(
    "--threshold", type=click.FloatRange(0, 1, min_open=True), default=0.8, show_default=True, help="As for dedupe."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder for the parts.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, another split.")
@click.option("--to", default="jsonl", show_default=True, help="Of the parts: jsonl, csv, tsv or parquet.")
@format_options
def split(
    src: str,
    parts: str,
    stratify: str | None,
    group_by: str | None,
    text: str | None,
    threshold: float,
    out: Path,
    seed: int,
    to: str,
    **options: Any,
) -> None:
    """Deal the rows of SRC out into files of the folder --out, one a part.

    How it was done is noted in split.json, which is written last. The split goes by seed and the order of the rows: the
    same file gives the same parts on every machine.
    """
    from pilotfish.cli._target import check_target
    from pilotfish.rows import need_columns
    from pilotfish.rows._lock import locked
    from pilotfish.rows.dedupe import dedupe as deduped
    from pilotfish.rows.split import split as dealt

    shares = _shares(parts)
    for name in shares:
        check_target(f"{name}.{to}", to)
    with locked(out), rejects_of(str(out / "rejects.jsonl"), src, None) as rejects:
        rows: Rows
        rows = rows_with_text(src, rejects, text, **options) if text else list(read_rows(src, rejects, **options))
        need_columns(rows[0], *[column for column in (stratify, group_by) if column], source=src)
        before = len(rows)
        if text:
            rows, found = deduped(rows, text=text, threshold=threshold)
            tell_duplicates(rows, found, text, None)
        chosen = dealt(rows, shares, seed, stratify=stratify, group=group_by)
        for name, where in chosen.items():
            if not len(where):
                say(f"the part {name!r} is empty: {len(rows):,} rows are too few for it")
        how = {"source": src, "rows": before, "duplicates": before - len(rows), "seed": seed, "shares": shares}
        how |= {"stratify": stratify, "group": group_by, "text": text, "rejected": len(rejects)}
        _write_parts(out, to, {name: [rows[i] for i in where] for name, where in chosen.items()}, how)
        say(", ".join(f"{name} {len(where):,}" for name, where in chosen.items()) + f" rows, in {out}")
        say_rejects(rejects)


@group.command("head")
@click.argument("src")
@click.option("-n", "count", type=click.IntRange(1), default=10, show_default=True, help="How many rows.")
@click.option("--to", default="jsonl", show_default=True, help="How to show them: jsonl, csv or tsv.")
@format_options
def head(src: str, count: int, to: str, **options: Any) -> None:
    """Print the first rows of SRC; the rest is not read."""
    from itertools import islice

    from pilotfish.cli._target import put
    from pilotfish.rows import Rejects

    rejects = Rejects()
    put(islice(read_rows(src, rejects, **options), count), "-", to)
    say_rejects(rejects)


def _shares(parts: str) -> dict[str, float]:
    """Read `train=.8,test=.2`.

    Raises:
        ConfigError: not such a list, or a name that cannot be a file's.
    """
    from pilotfish.errors import ConfigError

    shares: dict[str, float] = {}
    for part in parts.split(","):
        name, _, share = part.strip().partition("=")
        try:
            value = float(share)
        except ValueError:
            raise ConfigError(
                f"--parts takes names and shares, such as train=.8,test=.2, not {part.strip()!r}"
            ) from None
        if not name.replace("-", "").replace("_", "").isalnum():
            raise ConfigError(f"--parts: {name!r} cannot be a file's name; use letters and digits")
        if name in shares:
            raise ConfigError(f"--parts: {name!r} stands there twice")
        shares[name] = value
    return shares


def _write_parts(out: Path, kind: str, parts: dict[str, Rows], how: dict[str, Any]) -> None:
    """Write the parts, and split.json last: while it is not there, the parts are not of one split."""
    from pilotfish.rows import write
    from pilotfish.rows._atomic import atomic, cannot_write

    note = out / "split.json"
    try:
        note.unlink(missing_ok=True)
        for name in parts:
            (out / f"{name}.{kind}").unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(out, error) from error
    for name, rows in parts.items():
        if rows:
            write(rows, out / f"{name}.{kind}", kind)
    with atomic(note) as file:
        how["parts"] = {name: len(rows) for name, rows in parts.items()}
        file.write(json.dumps(how, ensure_ascii=False, indent=1).encode() + b"\n")
