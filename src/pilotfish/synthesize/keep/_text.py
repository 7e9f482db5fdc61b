"""A row as the text that it is compared by."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pilotfish.rows._json import plain
from pilotfish.rows._row import Row

__all__ = ["text_of"]


def text_of(row: Row, columns: Sequence[str] | None) -> str:
    """Return the columns of a row, a line each; None for all, in their order."""
    values = [row.get(name, "") for name in (row if columns is None else columns)]
    return "\n".join(
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=plain) for value in values
    )
