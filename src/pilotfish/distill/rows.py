"""Rows of data as examples to learn from, and the split that comes before anything learns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.model import Request
from pilotfish.rows.split import split
from pilotfish.train.examples import Example, answered, pieces

__all__ = ["Parts", "examples_of", "keyed", "origin", "parted", "request_of"]


@dataclass
class Parts:
    """Examples to train on and to measure on; `row` of each is the row's number in the data.

    Attributes:
        train: the first.
        held_out: the second.
        refused: what rows gave no example, and why.
    """

    train: list[Example]
    held_out: list[Example]
    refused: list[tuple[int, str]] = field(default_factory=list)


def keyed(rows: Sequence[str | Mapping[str, Any]]) -> list[str]:
    """Return each row as the text that tells it from others."""
    return [row if isinstance(row, str) else json.dumps(row, sort_keys=True, default=str) for row in rows]


def examples_of(
    tokenizer: Any, rows: Sequence[str | Mapping[str, Any]], length: int, *, name: str
) -> tuple[list[Example], list[tuple[int, str]]]:
    """Return the rows' examples, and which rows gave none, and why.

    A row is a text, or has `text`; or has `messages` (a conversation) or `prompt`, and `answer`, which alone is learnt;
    `weight` counts its tokens; with `cut` the answer was longer than is told.
    """
    found: list[Example] = []
    refused: list[tuple[int, str]] = []
    for number, row in enumerate(rows):
        data: Mapping[str, Any] = {"text": row} if isinstance(row, str) else row
        try:
            made = _examples(tokenizer, data, length, name)
        except (DataError, ModelError) as error:  # a template may refuse what a row's conversation holds
            refused.append((number, str(error)))
            continue
        found += [replace(one, row=number) for one in made]
    return found, refused


def _examples(tokenizer: Any, row: Mapping[str, Any], length: int, name: str) -> list[Example]:
    weight = row.get("weight")
    counts = 1.0 if weight is None else weight
    if isinstance(counts, bool) or not isinstance(counts, int | float) or not counts >= 0:
        raise DataError(f"weight must be a number, 0 or more, not {weight!r}")
    if "text" in row:
        if not isinstance(row["text"], str) or not row["text"].strip():
            raise DataError("text is empty")
        made = pieces(tokenizer, [row["text"]], length)
        if not made:
            raise DataError("the text has no two tokens in a row")
        return [replace(one, weight=float(counts)) for one in made]
    answer = row.get("answer")
    if not isinstance(answer, str):
        raise DataError("a row needs `text`, or `prompt` or `messages` with an `answer`")
    ended = not row.get("cut")
    return [answered(tokenizer, request_of(row), answer, length, ended=ended, name=name, weight=float(counts))]


def request_of(row: Mapping[str, Any]) -> Request:
    """Return what a row's answer answers.

    Raises:
        DataError: it has neither `messages` nor `prompt`, or the messages are none.
    """
    if "messages" in row:
        try:
            return Request.from_json({"messages": row["messages"]})
        except ConfigError as error:
            raise DataError(str(error)) from None
    if isinstance(row.get("prompt"), str):
        return Request.of(row["prompt"])
    raise DataError("a row with an `answer` needs `prompt`, a text, or `messages`")


def parted(
    tokenizer: Any, rows: Sequence[str | Mapping[str, Any]], length: int, *, share: float, seed: int, name: str
) -> Parts:
    """Return the rows as training and held-out examples; a row's copies count once.

    All answers to one question stay in one part, and so does all that was made of one `source`.

    Raises:
        DataError: fewer than two different rows give examples, or the share leaves one part empty.
    """
    keys = keyed(rows)
    first = {key: number for number, key in reversed(list(enumerate(keys)))}
    unique = sorted(first.values())
    made, refused = examples_of(tokenizer, [rows[i] for i in unique], length, name=name)
    made = [replace(one, row=unique[one.row]) for one in made]
    usable = sorted({one.row for one in made})
    if len(usable) < 2:
        reason = f" (row {unique[refused[0][0]] + 1}: {refused[0][1]})" if refused else ""
        raise DataError(
            f"distillation needs two different rows at least, one of them held out; {len(usable)} can be read{reason}"
        )
    groups = list(dict.fromkeys(origin(rows[i]) for i in usable))
    parts = split(len(groups), {"train": 1 - share, "held_out": share}, seed)
    if not len(parts["train"]) or not len(parts["held_out"]):
        raise DataError(f"{len(groups)} questions leave none to hold out (or to train on) at held_out = {share}")
    apart = {groups[int(i)] for i in parts["held_out"]}
    held = {i for i in usable if origin(rows[i]) in apart}
    return Parts(
        [one for one in made if one.row not in held],
        [one for one in made if one.row in held],
        [(unique[number], reason) for number, reason in refused],
    )


def origin(row: str | Mapping[str, Any]) -> str:
    """Return what tells the rows apart that may be split."""
    if isinstance(row, str) or "text" in row:
        return keyed([row])[0]
    known = next(name for name in ("source", "messages", "prompt") if name in row)
    return keyed([{known: row[known]}])[0]
