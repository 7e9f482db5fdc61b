"""JSON for the wire: orjson where it is installed, else the standard library; the same results by either."""

from __future__ import annotations

import json
from typing import Any

try:
    import orjson
except ModuleNotFoundError:  # pragma: no cover - the extra `serve` brings it
    orjson = None  # type: ignore[assignment]

__all__ = ["dumps", "loads"]


def dumps(data: Any) -> bytes:
    """Return compact JSON in UTF-8.

    Raises:
        TypeError: something in `data` is no JSON.
    """
    if orjson is not None:
        try:
            return orjson.dumps(data)
        except TypeError:
            pass  # half a surrogate pair, a number beyond 64 bits, a Mapping that is no dict: the slow way tells
    return json.dumps(data, separators=(",", ":"), default=_plain).encode()


def loads(raw: bytes | str) -> Any:
    """Return the data; NaN and infinities, which some servers send as log-probabilities, are read too.

    Raises:
        ValueError: it is no JSON (`json.JSONDecodeError`) or no UTF-8.
        RecursionError: it is nested too deep.
    """
    if orjson is not None:
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass  # the standard library decides, and its error says where
    return json.loads(raw)


def _plain(value: Any) -> Any:
    try:
        return dict(value)
    except (TypeError, ValueError):
        raise TypeError(f"{type(value).__name__} is no JSON") from None
