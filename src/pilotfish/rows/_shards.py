"""Shards: the finished part of a run's output, each with a marker that says it is whole."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pilotfish.errors import DataError
from pilotfish.rows._atomic import atomic
from pilotfish.rows._journal import Entry, Journal
from pilotfish.rows._json import encoded
from pilotfish.rows._row import Row
from pilotfish.rows.write import write_to


@dataclass(frozen=True, slots=True)
class Marker:
    """What a whole shard holds; written last.

    Attributes:
        shard: its number.
        start, stop: the rows of the input it stands for.
        rows: rows in its file.
        file: the file's name, or None where there are no rows.
        sha256: of the file.
        rejected: input rows of which something was rejected.
        again: how many of these another run should try anew.
        reasons: kind of reason -> rejects.
    """

    shard: int
    start: int
    stop: int
    rows: int
    file: str | None
    sha256: str
    rejected: int = 0
    again: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


def journal_path(folder: Path, shard: int) -> Path:
    """Return where the journal of a shard is."""
    return folder / f"shard-{shard:05d}.journal"


def marker_path(folder: Path, shard: int) -> Path:
    """Return where the marker of a shard is."""
    return folder / f"shard-{shard:05d}.done"


def rejects_path(folder: Path, shard: int) -> Path:
    """Return where the rejects of a shard are."""
    return folder / f"shard-{shard:05d}.rejects.jsonl"


def finish(folder: Path, shard: int, bounds: tuple[int, int], journal: Journal, kind: str) -> Marker:
    """Make the shard's file out of its journal, then the marker; the journal goes unless rows want another try.

    Raises:
        DataError: the disk is full or refuses.
    """
    marker_path(folder, shard).unlink(missing_ok=True)  # an old one is void from now on
    counts: Counter[str] = Counter()
    rejected = again = 0
    with atomic(rejects_path(folder, shard)) as file:
        for entry in journal.entries():
            rejected += bool(entry.rejects)
            again += entry.again
            for reject in entry.rejects:
                counts[reject["reason"].partition(":")[0]] += 1
                file.write(encoded(_shown(entry, reject)) + b"\n")
    if not rejected:
        rejects_path(folder, shard).unlink()
    path = folder / f"shard-{shard:05d}.{kind}"
    rows = (row for entry in journal.entries() for row in entry.rows)
    first = next(rows, None)
    count, digest = 0, ""
    if first is not None:
        with atomic(path) as file:
            count = write_to(_chain(first, rows), file, kind)
        digest = sha256(path)
    else:
        path.unlink(missing_ok=True)
    marker = Marker(shard, *bounds, count, path.name if count else None, digest, rejected, again, dict(counts))
    with atomic(marker_path(folder, shard)) as file:
        file.write(encoded(asdict(marker)) + b"\n")
    journal.close()
    if not again:
        journal.path.unlink(missing_ok=True)
    return marker


def _chain(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest


def _shown(entry: Entry, reject: dict[str, Any]) -> dict[str, Any]:
    """Return a line of the rejects file; `row` is the row's number in the input, from 1."""
    return {
        "source": reject["stage"],
        "line": None,
        "reason": reject["reason"],
        "raw": reject["raw"],
        "row": entry.row + 1,
        "again": reject["again"],
    }


def markers(folder: Path) -> list[Marker]:
    """Return the markers in a folder, in order.

    Raises:
        DataError: one cannot be read.
    """
    found = []
    for path in sorted(folder.glob("shard-*.done")):
        try:
            found.append(Marker(**json.loads(path.read_bytes())))
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{path}: not a marker of this version ({error}); start again with --fresh") from None
    return sorted(found, key=lambda marker: marker.shard)


def verify(folder: Path, marker: Marker) -> None:
    """Check that a shard is what its marker says.

    Raises:
        DataError: its file is gone or was changed.
    """
    if marker.file is None:
        return
    path = folder / marker.file
    if not path.is_file():
        raise DataError(f"{path}: is gone, though its marker is there; start again with --fresh")
    if sha256(path) != marker.sha256:
        raise DataError(f"{path}: was changed after it was written; start again with --fresh, or put it back")


def sha256(path: Path) -> str:
    """Return the hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
