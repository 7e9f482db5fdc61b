"""What a row is, and the check that the columns somebody asks for are there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pilotfish.errors import DataError, did_you_mean

Row = dict[str, Any]
Rows = list[Row]


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that could not be read: `line` is the first line of the record (from 1), `raw` its text as far as kept."""

    line: int | None
    reason: str
    raw: str


def need_columns(known: Iterable[str], *wanted: str, source: str = "") -> None:
    """Check that every wanted column is among the known ones.

    Args:
        known: the columns that are there (a row serves: its keys are its columns).
        wanted: the columns that are needed.
        source: the file they come from, for the message.

    Raises:
        DataError: one is missing; the text names the nearest column.
    """
    names = list(known)
    for column in wanted:
        if column not in names:
            where = f"{source}: " if source else ""
            raise DataError(f"{where}no column {column!r}{did_you_mean(column, (str(name) for name in names))}")
