"""Rows as JSON lines: numpy values, dates and paths as plain data."""

from __future__ import annotations

import datetime
import decimal
import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any


def encoded(value: Any) -> bytes:
    """Return one line of JSON in UTF-8, without the line end.

    Raises:
        TypeError: it holds what has no form in JSON.
    """
    try:
        return utf8(value)
    except UnicodeEncodeError:  # half a surrogate pair: only an escape can hold it
        return json.dumps(value, default=plain).encode()


def utf8(value: Any) -> bytes:
    """Return the same, or raise where it is no text.

    Raises:
        TypeError: it holds what has no form in JSON.
        UnicodeEncodeError: it holds half a surrogate pair.
    """
    return json.dumps(value, ensure_ascii=False, default=plain).encode()


def halves(row: Mapping[str, Any]) -> list[str]:
    """Return the columns of a row that hold half a surrogate pair, which is legal JSON and no text."""
    found = []
    for name, value in row.items():
        try:
            utf8(value)
        except UnicodeEncodeError:
            found.append(name)
    return found


def shown(value: Any) -> str:
    """Return JSON for a human to look at: what has no form in JSON is shown by its `repr`."""
    return json.dumps(value, ensure_ascii=False, default=_plain_or_repr)


def _plain_or_repr(value: Any) -> Any:
    try:
        return plain(value)
    except TypeError:
        return repr(value)


def plain(value: Any) -> Any:
    """Return a value as plain data: what `json.dumps` takes as its `default`.

    Raises:
        TypeError: it has no plain form.
    """
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return value.tolist()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal | PurePath):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__} has no form in JSON")
