"""The input of a run: what is in it, told by its hash, so that a resumed run is sure to go on with the same rows."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotfish._extras import need
from pilotfish.errors import DataError
from pilotfish.rows._atomic import atomic
from pilotfish.rows._json import encoded
from pilotfish.rows._open import STDIN
from pilotfish.rows._remote import fetched, is_url, local
from pilotfish.rows._row import Row
from pilotfish.rows.read import read
from pilotfish.rows.rejects import Rejects

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Input:
    """Rows that can be gone through again.

    Attributes:
        sha256: of the bytes, or of the rows where they came as a list.
        size: bytes, or the number of rows of a list.
        rows: how many rows there are, about; None where only reading would tell.
    """

    source: Path | Sequence[Row]
    options: Mapping[str, Any]
    sha256: str
    size: int
    rows: int | None

    @classmethod
    def of(cls, source: str | Path | Sequence[Row], options: Mapping[str, Any], spool: Path) -> Input:
        """Look at the input; standard input is first copied to the file `spool`, what is behind a URL beside it.

        Raises:
            DataError: there is no such file, or no row in the list.
        """
        if not isinstance(source, str | Path):
            if not source:
                raise DataError("no rows: the list is empty")
            digest = hashlib.sha256()
            for row in source:
                digest.update(encoded(row) + b"\n")
            return cls(source, options, digest.hexdigest(), len(source), len(source))
        path = fetched(source, spool) if isinstance(source, str) and is_url(source) else local(source)
        if str(source) == STDIN:
            _copy_stdin(spool)
            path = spool
        if not path.exists():
            raise DataError(f"{path}: no such file")
        digest = hashlib.sha256()
        size = lines = 0
        for file in sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]:
            with file.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    lines += chunk.count(b"\n")
        return cls(path, options, digest.hexdigest(), size, _rows(path, options, lines))

    @property
    def name(self) -> str:
        """What the input is called in messages."""
        return str(self.source) if isinstance(self.source, Path) else "the list of rows"

    def config(self) -> dict[str, Any]:
        """Return what makes this input this input, as plain data; not its path, for a file may be moved."""
        options = {key: list(value) if isinstance(value, tuple) else value for key, value in self.options.items()}
        return {"sha256": self.sha256, "size": self.size, "options": options}

    def read(self, rejects: Rejects) -> Iterator[Row]:
        """Yield the rows; the same ones each time."""
        if isinstance(self.source, Path):
            yield from read(self.source, rejects=rejects, **self.options)
        else:
            yield from self.source


def _copy_stdin(spool: Path) -> None:
    """Copy standard input to a file; where there is none (a resume without the pipe), what was copied before stays."""
    stream = sys.stdin.buffer
    first = stream.read(_CHUNK)
    if not first and spool.exists():
        return
    if not first:
        raise DataError("standard input: nothing came in")
    with atomic(spool) as file:
        file.write(first)
        shutil.copyfileobj(stream, file, _CHUNK)


def _rows(path: Path, options: Mapping[str, Any], lines: int) -> int | None:
    """Return about how many rows a file has, for the time left: exact for Parquet, its lines for text."""
    kind = options.get("format") or path.suffix.lower().lstrip(".")
    if kind == "parquet":
        parquet = need("pyarrow.parquet", "parquet")
        try:
            return int(parquet.read_metadata(path).num_rows)
        except (OSError, ValueError):
            return None  # reading will say what is wrong with it
    if path.is_dir() or kind in ("gz", "arrow", "json"):
        return None
    return max(1, lines - (kind in ("csv", "tsv")))
