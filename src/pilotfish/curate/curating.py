"""Rows through steps, each decision with its reason: resumable, in as many runs as there are barriers and one more.

The steps between two barriers are one run of `pilotfish.rows` in a folder of its own, `steps/N`, which the next one
takes its rows from. A run that is killed goes on where it was; one that has ended is not repeated.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pilotfish.curate._segment import BAD, DONE, KEPT, LEFT_OUT, Segment, merged, segments
from pilotfish.curate._stages import ROW
from pilotfish.curate.barrier import Barrier
from pilotfish.curate.report import Curated
from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._atomic import atomic
from pilotfish.rows._input import Input
from pilotfish.rows._json import encoded
from pilotfish.rows._lock import locked
from pilotfish.rows._remote import is_url, local
from pilotfish.rows._row import Row, need_columns
from pilotfish.rows._store import Store
from pilotfish.rows.engine import Engine, using
from pilotfish.rows.read import read
from pilotfish.rows.stage import Stage

__all__ = ["REPORT", "curate"]

REPORT = "report.json"


def curate(
    source: str | Path | Sequence[Row],
    steps: Sequence[Stage | Barrier],
    out: str | Path,
    *,
    text: str = "text",
    fresh: bool = False,
    progress: bool = True,
    shard_rows: int = 10_000,
    read_options: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> Curated:
    """Put the rows of a source through the steps, and write what is kept, and what is not with its reason.

    The folder then holds `kept.jsonl`; `dropped.jsonl`, a line {step, reason, row} a row that a step left out;
    `rejects.jsonl`, rows that are bad or could not be read; and `report.json`. All are in the order of the input, the
    last two step by step.

    Args:
        source: a path, a URL that fsspec knows, or a list of rows.
        steps: in the order in which they sift.
        out: the folder, or the URL of one: then the work is done in a folder of the user's cache, and the four files
            are put behind the URL at the end.
        text: the column that examples of the report are taken from; it must be there.
        fresh: begin anew from the first step whose settings differ from those of the run in the folder.
        progress: show a bar.
        shard_rows: input rows a shard of a run.
        read_options: for `rows.read`.
        engine: where stages do their work, and the looks of barriers that can share theirs; as for `rows.run`.

    Raises:
        ConfigError: no steps, or the folder holds another curation.
        DataError: the source cannot be read, or has no such column.
    """
    if not steps:
        raise ConfigError("a curation needs at least one step")
    if str(source) == "-":
        raise ConfigError("curation goes by a file: standard input could not be gone through again")
    started = time.perf_counter()
    options = dict(read_options or {})
    store = Store(out) if isinstance(out, str) and is_url(out) else None
    folder = local(out) if store is None else store.folder
    with locked(folder), using(engine):
        given = Input.of(source, options, folder / "input.spool")
        _check_column(given.source, str(source), text, options)
        before = json.dumps(given.config(), sort_keys=True) + text
        found: list[dict[str, Any]] = []
        parts = segments(steps, folder / "steps")
        made = False
        for place, part in enumerate(parts):
            before = part.identity(before)
            told = _finished(part, before, fresh=fresh)
            if told is None:
                for later in parts[place:] if fresh and not made else ():
                    shutil.rmtree(later.folder, ignore_errors=True)
                (folder / REPORT).unlink(missing_ok=True)
                first = {"read_options": options} if part.first else {}
                where = given.source if part.first else parts[place - 1].folder / KEPT
                if place and not found[-1]["kept"]:
                    told = _nothing(part, before)
                else:
                    told = part.go(where, before, text, progress=progress, shard_rows=shard_rows, **first)
                made = True
            found.append(told)
        report = Curated(
            str(folder) if store is None else store.url,
            rows_in=found[0]["rows_in"] + found[0]["unread"],
            kept=found[-1]["kept"],
            dropped=sum(told["dropped"] for told in found),
            rejected=sum(told["rejected"] for told in found),
            steps=merged(found),
            seconds=time.perf_counter() - started,
            repeated=not made and (folder / REPORT).exists(),
        )
        if not report.repeated:
            _close(folder, parts, report)
        if store is not None:
            store.put([KEPT, LEFT_OUT, BAD, REPORT])
        return report


def _check_column(source: Path | Sequence[Row], name: str, text: str, options: Mapping[str, Any]) -> None:
    """Look at the first row: a slip in the column's name should not reject every row."""
    rows = read(source, rejects=None, **options) if isinstance(source, Path) else iter(source)
    first = next(iter(rows), None)
    if first is None:
        raise DataError("no rows: the list is empty")
    need_columns(first, text, source=name if isinstance(source, Path) else "")


def _finished(part: Segment, identity: str, *, fresh: bool) -> dict[str, Any] | None:
    try:
        return part.finished(identity)
    except ConfigError:
        if not fresh:
            raise
        return None


def _nothing(part: Segment, identity: str) -> dict[str, Any]:
    """Write the end of a segment that no row reached."""
    part.folder.mkdir(parents=True, exist_ok=True)
    for name in (KEPT, LEFT_OUT, BAD):
        with atomic(part.folder / name):
            pass
    steps = [tally.done().to_json() for tally in part.tallies()]
    told = {"kept": 0, "dropped": 0, "rejected": 0, "steps": steps, "identity": identity, "rows_in": 0, "unread": 0}
    with atomic(part.folder / DONE) as file:
        file.write(json.dumps(told).encode())
    return told


def _close(folder: Path, parts: Sequence[Segment], report: Curated) -> None:
    """Write what is kept without its covers, and what is not, of all segments; the report last."""
    with atomic(folder / KEPT) as file, (parts[-1].folder / KEPT).open("rb") as lines:
        for line in lines:
            file.write(encoded(json.loads(line)[ROW]) + b"\n")
    for name in (LEFT_OUT, BAD):
        with atomic(folder / name) as file:
            for part in parts:
                with (part.folder / name).open("rb") as lines:
                    shutil.copyfileobj(lines, file, 1 << 20)
    with atomic(folder / REPORT) as file:
        told = json.dumps(report.to_json(), ensure_ascii=False, indent=1)
        file.write(told.encode("utf-8", "backslashreplace") + b"\n")
