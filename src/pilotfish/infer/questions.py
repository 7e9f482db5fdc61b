"""A user's own prompts for a benchmark: text lines, rows with `prompt`, `text` or `messages`, or Spec-Bench's file."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotfish.errors import DataError
from pilotfish.model import Message
from pilotfish.rows.read import read

__all__ = ["Question", "read_questions"]

TEXTS = ("prompt", "text", "question", "instruction")


@dataclass(frozen=True)
class Question:
    """What a user says, turn by turn; the model's answers come between.

    Attributes:
        id: from the file, else the place in it.
        category: what it is counted under.
        turns: the user's turns, at least one.
        before: turns that stand before the first one.
    """

    id: str | int
    category: str
    turns: tuple[str, ...]
    before: tuple[Message, ...] = ()


def read_questions(path: str | Path, limit: int | None = None, seed: int = 0) -> list[Question]:
    """Return the questions of a file, or a seeded sample of `limit` of them, in the file's order.

    Spec-Bench's `question.jsonl` (Xia et al. 2024) has question_id, category and turns. Other rows have one of
    `messages` (a conversation that ends with the user), `prompt`, `text`, `question` or `instruction`.

    Raises:
        DataError: no such file, or a row has none of these.
    """
    found = [_question(row, place, str(path)) for place, row in enumerate(read(path, strict=True), 1)]
    if limit is None or limit >= len(found):
        return found
    chosen = sorted(random.Random(seed).sample(range(len(found)), limit))
    return [found[i] for i in chosen]


def _question(row: Mapping[str, Any], place: int, where: str) -> Question:
    key = row.get("question_id", row.get("id", place))
    category = str(row.get("category") or "all")
    turns, messages = row.get("turns"), row.get("messages")
    if isinstance(turns, list) and turns and all(isinstance(turn, str) for turn in turns):
        return Question(key, category, tuple(turns))
    if isinstance(messages, list) and messages:
        said = [Message.from_json(message) for message in messages]
        if said[-1].role != "user":
            raise DataError(f"{where}, row {place}: its messages must end with the user's turn")
        return Question(key, category, (said[-1].text,), tuple(said[:-1]))
    for name in TEXTS:
        if isinstance(row.get(name), str) and row[name].strip():
            return Question(key, category, (row[name],))
    raise DataError(f"{where}, row {place}: needs turns, messages, {', '.join(TEXTS)}; it has {', '.join(row)}")
