"""What the commands of `pilotfish rows` share: where rows that are left out go, vectors, and how things are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pilotfish.rows import Rejects, Row, Rows
    from pilotfish.rows.dedupe import Duplicates

__all__ = [
    "REJECTS",
    "TO",
    "check_json",
    "keep_removed",
    "rejects_of",
    "removed_option",
    "report_options",
    "shown",
    "tell",
    "tell_duplicates",
    "vectors_of",
]

TO = "Of the output: jsonl, csv, tsv, parquet or datasets (a folder); told by its name otherwise (- is jsonl)."
REJECTS = "Where bad rows go.  [default: DST.rejects.jsonl; for - rejects.jsonl]"

removed_option = click.option(
    "--removed",
    "removed_file",
    help="Where removed rows go, each with its reason.  [default: DST.removed.jsonl; for - removed.jsonl]",
)


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where a report goes."""
    command = click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON on standard output.")(
        command
    )
    return click.option("--report", help="Write what was found into this JSON file.")(command)


def rejects_of(given: str | None, src: str, dst: str | None, kind: str = "rejects") -> Rejects:
    """Return the rejects of a command; what an earlier one left in the file goes.

    Raises:
        ConfigError: the file is the input or the output.
    """
    from pilotfish.errors import ConfigError
    from pilotfish.rows import Rejects
    from pilotfish.rows._atomic import cannot_write

    # Beside standard output, a pipe or a device there is no place for them.
    beside = dst is not None and dst != "-" and (Path(dst).is_file() or not Path(dst).exists())
    path = Path(given or (f"{dst}.{kind}.jsonl" if beside else f"{kind}.jsonl"))
    taken = [Path(name).resolve() for name in (src, dst) if name is not None]
    if path.resolve() in taken:
        raise ConfigError(f"{path}: this is the input or the output; choose another file with --{kind}")
    try:
        if path.is_file():
            path.unlink()
    except OSError as error:
        raise cannot_write(path, error) from error
    return Rejects(path)


def tell_duplicates(rows: Rows, found: Duplicates, text: str, label: str | None) -> None:
    """Say what was removed, and show the first conflicts."""
    removed = len(found.removed)
    say(f"{removed:,} of {len(found.group):,} rows removed as duplicates, {found.exact:,} of them exact copies")
    if label is None or not found.conflicts:
        return
    say(f"{len(found.conflicts):,} groups of duplicates differ in {label!r}, such as:")
    for conflict in found.conflicts[:3]:
        shown = [
            f"{rows[row][text][:50]!r} is {value}" for row, value in zip(conflict.rows, conflict.labels, strict=True)
        ]
        say("  " + "; ".join(shown[:3]))


def keep_removed(kept: Rejects, src: str, rows: Sequence[Row], reasons: Iterable[tuple[int, str]]) -> None:
    """Write removed rows with their reasons, and say where."""
    from pilotfish.rows._json import shown as as_json

    for place, reason in reasons:
        kept.add(src, None, reason, as_json(rows[place]), row=place + 1)
    if len(kept):
        say(f"removed rows with their reasons in {kept.path}")


def tell(found: dict[str, Any], report: str | None, as_json: bool) -> None:
    """Write a report into a file and on standard output, where asked."""
    from pilotfish.rows._atomic import atomic

    text = json.dumps(found, ensure_ascii=False, indent=1, default=str)
    if report is not None:
        with atomic(Path(report)) as file:
            file.write(text.encode("utf-8", "backslashreplace") + b"\n")
    if as_json:
        click.echo(text)


def check_json(dst: str, as_json: bool) -> None:
    """Refuse two things on standard output.

    Raises:
        ConfigError: the rows and the report both go there.
    """
    from pilotfish.errors import ConfigError

    if as_json and dst == "-":
        raise ConfigError("the rows and --json both go to standard output; give a file for the rows, or --report")


def vectors_of(encoder: str, texts: Sequence[str], unit: str = "vectors") -> NDArray[np.float32]:
    """Return the vectors of an encoder, with a bar."""
    from pilotfish.models.encoder import Encoder
    from pilotfish.rows._progress import Progress

    model = Encoder(encoder, dtype="auto").load()
    with Progress(len(texts), unit=unit) as bar:
        return model.encode(texts, progress=bar.add)


def shown(target: str) -> str:
    """Return a target as it is called in messages."""
    return "standard output" if target == "-" else target
