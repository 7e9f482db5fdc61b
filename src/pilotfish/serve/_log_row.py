"""A served request as the row that the log keeps, and the row as it is read again."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pilotfish.model import Call, Decision, Reply
from pilotfish.serve.record import Served
from pilotfish.serve.redact import Redactor

__all__ = ["BRIEF", "COLUMNS", "Store", "row_of", "values_of"]

# Name and SQL type of each column, in both databases; `seq`, which counts the rows, stands before them.
COLUMNS: dict[str, str] = {
    "id": "TEXT",
    "time": "DOUBLE PRECISION",
    "key": "TEXT",
    "model": "TEXT",
    "answered_by": "TEXT",
    "status": "INTEGER",
    "error": "TEXT",
    "seconds": "DOUBLE PRECISION",
    "overhead": "DOUBLE PRECISION",
    "first_byte": "DOUBLE PRECISION",
    "streamed": "INTEGER",
    "cached": "INTEGER",
    "attempts": "INTEGER",
    "tokens_in": "INTEGER",
    "tokens_out": "INTEGER",
    "cost": "DOUBLE PRECISION",
    "verdict": "TEXT",
    "score": "DOUBLE PRECISION",
    "calls": "TEXT",
    "decisions": "TEXT",
    "prompt": "TEXT",
    "request": "TEXT",
    "reply": "TEXT",
}
_TEXTS = ("prompt", "request", "reply")
_JSON = ("calls", "decisions", "request", "reply")
_CALL = tuple(field.name for field in dataclasses.fields(Call))
_DECISION = tuple(field.name for field in dataclasses.fields(Decision))
# Made once: `json.dumps` with settings makes one each time.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)
# Every column but those that may be long.
BRIEF = tuple(name for name in COLUMNS if name not in _TEXTS)


class Store(Protocol):
    """A database that holds the rows; its methods may be called from any thread."""

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows, all or none; values as `values_of` gives them."""

    def rate(self, id: str, model: str, quality: float) -> None:
        """Note how good a model's answer to a request was, over what was noted before."""

    def rows(
        self,
        columns: Sequence[str],
        since: float | None,
        until: float | None,
        model: str | None,
        after: int | None,
        limit: int | None,
        oldest: bool = False,
        id: str | None = None,
    ) -> list[tuple[Any, ...]]:
        """Return rows that fit, oldest first: `seq`, the columns, and the ratings as JSON.

        They are the last `limit` ones, by time where one is asked for, else as written; with `oldest` the first ones
        written.
        """

    def forget(self, before: float) -> int:
        """Drop the rows of requests before a time; return how many."""

    def salt(self) -> bytes:
        """Return random bytes that stay the same as long as the database does."""

    def close(self) -> None:
        """Close the database."""


def values_of(served: Served, redactor: Redactor, longest: int) -> tuple[Any, ...]:
    """Return a record as the values of `COLUMNS`, with private data taken out and long texts cut."""
    decisions = served.decisions
    said = next((one for one in reversed(decisions) if one.score is not None), decisions[-1] if decisions else None)
    usage = served.usage
    calls = [{**_fields(call, _CALL), "why": redactor.line(call.why)} for call in served.calls]
    values: dict[str, Any] = {
        "id": served.id,
        "time": served.time,
        "key": served.key,
        "model": served.model,
        "answered_by": served.answered_by,
        "status": served.status,
        "error": redactor.line(served.error)[:1000],
        "seconds": served.seconds,
        "overhead": served.overhead,
        "first_byte": served.first_byte,
        "streamed": int(served.streamed),
        "cached": int(served.cached),
        "attempts": served.attempts,
        "tokens_in": usage.tokens_in,
        "tokens_out": usage.tokens_out,
        "cost": served.cost,
        "verdict": "" if said is None else said.verdict,
        "score": None if said is None else said.score,
        "calls": _dumps(calls),
        "decisions": _dumps([_fields(decision, _DECISION) for decision in decisions]),
        "prompt": redactor.text(served.request.prompt)[:longest],
        "request": _cut(redactor.data({**served.request.to_json(), **_extra(served)}), longest),
        "reply": None if served.reply is None else _cut(redactor.data(_reply(served.reply)), longest),
    }
    return tuple(None if (value := values[name]) is None else _AS[kind](value) for name, kind in COLUMNS.items())


def row_of(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Return what a store gave (`seq`, the columns, the ratings) as a row with its JSON read."""
    row: dict[str, Any] = {"seq": values[0], **dict(zip(names, values[1:-1], strict=True))}
    for name in _JSON:
        if row.get(name) is not None:
            row[name] = json.loads(row[name])
    for name in ("streamed", "cached"):
        if name in row:
            row[name] = bool(row[name])
    row["quality"] = json.loads(values[-1]) if values[-1] else {}
    return row


def _fields(of: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a flat dataclass: a tenth of what `dataclasses.asdict` takes."""
    return {name: getattr(of, name) for name in names}


def _extra(served: Served) -> Mapping[str, Any]:
    return {"metadata": dict(served.request.metadata)} if served.request.metadata else {}


def _reply(reply: Reply) -> dict[str, Any]:
    data: dict[str, Any] = {"text": reply.text, "finish_reason": reply.finish_reason}
    if reply.tool_calls:
        data["tool_calls"] = [call.to_json() for call in reply.tool_calls]
    if reply.choices:
        data["choices"] = [_reply(choice) for choice in reply.choices]
    return data


def _cut(data: Any, longest: int) -> str:
    """Return data as JSON; where that is too long, each text in it is cut, and the cut is marked."""
    text = _dumps(data)
    share = longest
    while len(text) > longest and share > 16:
        share //= 4
        text = _dumps(_shortened(data, share))
    return text if len(text) <= longest else _dumps({"cut": len(text)})


def _shortened(data: Any, longest: int) -> Any:
    if isinstance(data, str):
        return data if len(data) <= longest else data[:longest] + "…[cut]"
    if isinstance(data, Mapping):
        return {name: _shortened(value, longest) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_shortened(item, longest) for item in data]
    return data


def _dumps(data: Any) -> str:
    return _ENCODER.encode(data)


def _integer(value: Any) -> int:
    """Return a number that PostgreSQL's INTEGER holds: what an endpoint says it used may be beyond it."""
    return max(-(2**31), min(2**31 - 1, int(value)))


def _real(value: Any) -> float | None:
    """Return a float, of numpy's numbers too; None for NaN, which SQLite does not hold."""
    number = float(value)
    return None if math.isnan(number) else number


def _clean(text: str) -> str:
    """Return a text that any database takes: without NUL and halves of characters."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "�").encode("utf-8", "replace").decode()


# One value that a database does not take would keep its whole batch from being written, time and again.
_AS: dict[str, Callable[[Any], Any]] = {"TEXT": _clean, "INTEGER": _integer, "DOUBLE PRECISION": _real}
