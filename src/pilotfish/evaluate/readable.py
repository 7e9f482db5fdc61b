"""Texts as models can read them: whole characters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pilotfish.rows._row import Row

__all__ = ["HALF", "readable", "with_readable"]

# What a row's note says. Python's texts may hold half of what UTF-16 has two units for; files of rows and tokenizers
# take none.
HALF = "half a character: read as U+FFFD"
_HALVES = re.compile("[\ud800-\udfff]")


def readable(text: str) -> str:
    """Return a text whose halves of characters are joined where two stand together, and U+FFFD elsewhere."""
    if _HALVES.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def with_readable(row: Row, columns: Iterable[str]) -> tuple[Row, bool]:
    """Return a row with columns that can be read, and whether that changed any."""
    changed: dict[str, Any] = {}
    for column in columns:
        value = row.get(column)
        if isinstance(value, str):
            whole: Any = readable(value)
        elif isinstance(value, list):
            whole = [readable(one) if isinstance(one, str) else one for one in value]
        else:
            continue
        if whole != value:
            changed[column] = whole
    return (row | changed, True) if changed else (row, False)
