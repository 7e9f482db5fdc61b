"""What an answer is worth, from 0 to 1: by the right answer, by fields, by the user's function, or by a judge."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.answers import last_object
from pilotfish.measure.extractive import exact_match, plain, word_f1
from pilotfish.measure.grade import GRADES, grader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.compete.advisor.task import AnswerTask
    from pilotfish.model import Model

__all__ = ["MARKS", "Marks", "fields_f1", "marks_by"]

MARKS = (*GRADES, "word-f1", "exact-match", "rougeL", "fields", "judge")
# From row numbers and what was said of each (None: nothing) to (rows,) marks.
Marks = Callable[[Sequence[int], Sequence[str | None]], "NDArray[np.float64]"]
_TITLES = {
    "word-f1": "word F1",
    "exact-match": "accuracy",
    "rougeL": "ROUGE-L",
    "fields": "field F1",
    "judge": "the judge's mark",
}


def marks_by(
    how: str, task: AnswerTask, *, judge: Model | None = None, folder: Path | None = None
) -> tuple[Marks, str]:
    """Return what marks answers, and what a reader calls it.

    Args:
        how: one of `MARKS`, a pattern with a group, or module:function of (reply, row).
        task: whose rows hold the right answers.
        judge: of "judge": a model that grades from 1 to 10; its marks are brought to 0 to 1.
        folder: of "judge": where its answers are kept.

    Raises:
        ConfigError: no such way, or one that the task or the judge does not fit.
    """
    title = _TITLES.get(how, "accuracy" if ":" not in how else "grade")
    if how == "judge":
        if judge is None or folder is None:
            raise ConfigError("marks by a judge need a `judge`, a model that grades")
        from pilotfish.compete.advisor.judged import JudgeMarks

        return JudgeMarks(task, judge, folder), title
    if (how == "fields") != bool(task.fields):
        raise ConfigError("extraction is marked by `fields`, and nothing else is")
    if how == "fields":
        return _each(task, lambda said, row: fields_f1(said, {name: row.get(name) for name in task.fields})), title
    if how in ("word-f1", "exact-match", "rougeL"):
        if task.gold is None:
            raise ConfigError(f"marks by {how} need `gold`, the column of the right answer")
        gold, score = task.gold, _SHORT[how]
        return _each(task, lambda said, row: score(said, _truths(row.get(gold)))), title
    return _each(task, grader(how, task.gold)), title


def fields_f1(said: str, truth: Mapping[str, Any]) -> float:
    """Return the F1 of an answer's (field, value) pairs; 1 where neither it nor the truth has any.

    Case, punctuation and the order of several values do not count.

    Args:
        said: a reply with a JSON object in it.
        truth: the right value of each field: a text, a list of texts, or nothing.
    """
    found = last_object(said)
    if found is None:
        return 0.0
    mine, right = _pairs({name: found.get(name) for name in truth}), _pairs(truth)
    if not mine and not right:
        return 1.0
    shared = sum((mine & right).values())
    return 2 * shared / (sum(mine.values()) + sum(right.values()))


def _pairs(values: Mapping[str, Any]) -> Counter[tuple[str, str]]:
    pairs: Counter[tuple[str, str]] = Counter()
    for name, value in values.items():
        held = value if isinstance(value, list | tuple) else [value]
        for one in held:
            text = json.dumps(one, sort_keys=True) if isinstance(one, dict | list) else str(one)
            if one is not None and plain(text):
                pairs[name, plain(text)] += 1
    return pairs


def _rouge(said: str, truths: Sequence[str]) -> float:
    return float(_rouge_scorer()(said, truths)["score"])


@cache
def _rouge_scorer() -> Callable[[str, Sequence[str]], Mapping[str, float]]:
    from pilotfish.evaluate.lexical import Rouge

    return Rouge("rougeL").scorer()


_SHORT: dict[str, Callable[[str, Sequence[str]], float]] = {
    "word-f1": word_f1,
    "exact-match": exact_match,
    "rougeL": _rouge,
}


def _truths(value: Any) -> list[str]:
    held = [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]
    if value is None or not any(one.strip() for one in held):
        raise DataError("a row without a right answer cannot be marked")
    return held


def _each(task: AnswerTask, one: Callable[[str, Mapping[str, Any]], float]) -> Marks:
    def mark(rows: Sequence[int], said: Sequence[str | None]) -> NDArray[np.float64]:
        found = [
            0.0 if text is None else float(one(text, task.rows[row])) for row, text in zip(rows, said, strict=True)
        ]
        return np.array(found, np.float64)

    return mark
