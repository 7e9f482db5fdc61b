"""Answers and their faulty places, as people or a corruption marked them: what a detector of spans learns from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.rows._row import Row, need_columns

__all__ = ["Answered", "answered_rows", "marked", "words_of"]

_WORD = re.compile(r"\w+(?:[.,'\u2019:/-]\w+)*")


@dataclass(frozen=True)
class Answered:
    """An answer, what it is to stand on, and what of it does not.

    Attributes:
        answer: the answer.
        context: the evidence; "" where there is none.
        question: what was asked; "" where nothing was.
        spans: where it is faulty, in characters; None where nobody said where.
        faulty: whether it is faulty anywhere; None where nobody said.
        document: what it is drawn with: rows of one document are never on both sides of a split.
        before: characters of the answer that only stand before what is judged.
    """

    answer: str
    context: str = ""
    question: str = ""
    spans: tuple[tuple[int, int], ...] | None = None
    faulty: bool | None = None
    document: str = ""
    before: int = 0

    @property
    def is_faulty(self) -> bool:
        """Whether it is known to be faulty."""
        return bool(self.spans) if self.faulty is None else self.faulty


def words_of(text: str, start: int = 0) -> list[tuple[int, int]]:
    """Return where a text's words stand, from a place on; numbers with their marks are words, punctuation is none."""
    return [one.span() for one in _WORD.finditer(text) if one.start() >= start]


def marked(words: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """Return which words a span reaches into: (words,)."""
    return np.array([any(a < end and start < b for a, b in spans) for start, end in words], dtype=bool)


def answered_rows(
    rows: Sequence[Row],
    *,
    answer: str = "answer",
    context: str | None = "context",
    question: str | None = "question",
    labels: str = "labels",
    faulty: str = "faulty",
    document: str | None = None,
    kinds: Sequence[str] | None = None,
) -> list[Answered]:
    """Return rows as what a detector learns from.

    A row has `labels`, a list of {start, end, label}, or says by `faulty` only whether the answer is right.

    Args:
        rows: the rows.
        answer: the column.
        context: the column of the evidence, a text or a list of them; None for answers without any.
        question: the column; it may be missing.
        labels: the column of spans.
        faulty: the column of rows without spans: true, false, 1 or 0.
        document: the column that tells documents apart; the evidence itself where none is named.
        kinds: labels of spans that count; None counts all.

    Raises:
        DataError: a row lacks a column, or a span is outside its answer.
    """
    found: list[Answered] = []
    for number, row in enumerate(rows, 1):
        where = f"row {number}"
        need_columns(row, answer, *([context] if context else []), *([document] if document else []), source=where)
        said = _text(row, answer, where)
        evidence = _text(row, context, where) if context else ""
        asked = _text(row, question, where) if question and row.get(question) is not None else ""
        spans, whole = _spans(row, labels, said, where, kinds), _flag(row, faulty, where)
        if spans is None and whole is None:
            raise DataError(f"{where}: neither {labels!r} (a list of spans) nor {faulty!r} (true or false)")
        if spans is not None and whole is not None and whole != bool(spans):
            raise DataError(f"{where}: {faulty!r} says {whole}, and {labels!r} has {len(spans)} spans")
        home = str(row[document]) if document else evidence or asked or said
        found.append(Answered(said, evidence, asked, spans, whole, home))
    return found


def _text(row: Row, column: str, where: str) -> str:
    value = row[column]
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "\n\n".join(value)
    if not isinstance(value, str):
        raise DataError(f"{where}: column {column!r} is {type(value).__name__}, not text")
    return value


def _spans(
    row: Row, column: str, answer: str, where: str, kinds: Sequence[str] | None
) -> tuple[tuple[int, int], ...] | None:
    given = row.get(column)
    if given is None:
        return None
    if not isinstance(given, list):
        raise DataError(f"{where}: column {column!r} is {type(given).__name__}, not a list of spans")
    found = []
    for one in given:
        span: Any = one if isinstance(one, Mapping) else {}
        start, end = span.get("start"), span.get("end")
        if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end <= len(answer):
            raise DataError(f"{where}: {one!r} is no span of an answer of {len(answer)} characters: start, end, label")
        if kinds is None or span.get("label") in kinds:
            found.append((start, end))
    return tuple(sorted(found))


def _flag(row: Row, column: str, where: str) -> bool | None:
    value = row.get(column)
    if value is None:
        return None
    if value in (0, 1):
        return bool(value)
    raise DataError(f"{where}: column {column!r} is {value!r}, neither true nor false")
