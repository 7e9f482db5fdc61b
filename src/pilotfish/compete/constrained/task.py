"""What the models are for: rows of labels, similarities, choices or texts, and how an answer is scored."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.measure.agreement import correlation, ranks
from pilotfish.measure.intervals import Interval, bootstrap, paired_bootstrap, paired_score, wilson
from pilotfish.rows._atomic import atomic

__all__ = [
    "MEASURES",
    "FitTask",
    "Sort",
    "above",
    "choices_task",
    "classes_task",
    "perplexity",
    "quality",
    "similarity_task",
    "text_task",
    "value_of",
]

Sort = Literal["classes", "similarity", "choices", "text"]
Floats = NDArray[np.float64]
# What the quality of a sort of task is; the higher the better.
MEASURES: Mapping[Sort, str] = {
    "classes": "accuracy",
    "similarity": "Spearman's rho",
    "choices": "accuracy",
    "text": "log2-likelihood a byte",
}
DOES: Mapping[Sort, tuple[str, ...]] = {
    "classes": ("encoder", "causal-lm", "classifier"),
    "similarity": ("encoder",),
    "choices": ("causal-lm",),
    "text": ("causal-lm",),
}
MAX_CHARACTERS = 2000  # of a text that is read to measure


@dataclass(frozen=True)
class FitTask:
    """Rows that candidates are measured on, and what they may learn from.

    Attributes:
        sort: "classes" (text and label), "similarity" (two texts and a number), "choices" (a prompt, choices and the
            index of the right one) or "text" (a text to be foretold, and gone on with).
        rows: that are measured, in plain data.
        labels: of classes.
        names: label -> what a language model is told it is called.
        train: (text, label) rows that a head may learn from.
        tune: indices of `train` that its penalty is chosen on.
        notes: what a reader should know of the rows.
    """

    sort: Sort
    rows: tuple[dict[str, Any], ...]
    labels: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    train: tuple[tuple[str, str], ...] = ()
    tune: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """What tells these rows and labels from others."""
        told = json.dumps([self.sort, self.rows, self.labels, self.names], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(told.encode()).hexdigest()[:24]

    def save(self, path: Path) -> None:
        """Write what a measuring process needs."""
        with atomic(path) as file:
            file.write(json.dumps(asdict(self) | {"train": [], "tune": []}, ensure_ascii=False).encode())

    @classmethod
    def load(cls, path: Path) -> FitTask:
        """Read what `save` wrote."""
        told = json.loads(path.read_text(encoding="utf-8"))
        told |= {name: tuple(told[name]) for name in ("rows", "labels", "train", "tune", "notes")}
        return cls(**told)


def classes_task(
    rows: Sequence[Mapping[str, Any]],
    text: str,
    label: str,
    *,
    test: Sequence[Mapping[str, Any]] | None = None,
    names: Mapping[str, str] | None = None,
    test_share: float = 0.25,
    seed: int = 0,
) -> FitTask:
    """Return a task of labels; duplicates and leaks are dealt with as `pilotfish advise` does.

    Raises:
        DataError: a column is missing, or there is nothing to tell apart.
    """
    from pilotfish.compete.task import text_task as labelled

    how: dict[str, Any] = {"text": text, "label": label, "names": dict(names or {}), "seed": seed}
    task = labelled([dict(row) for row in rows], test=test, test_share=test_share, **how)
    return FitTask(
        "classes",
        tuple({"text": a, "label": b} for a, b in zip(task.test, task.test_labels, strict=True)),
        tuple(task.labels),
        dict(task.names),
        tuple(zip(task.train, task.train_labels, strict=True)),
        tuple(int(i) for i in task.tune),
        task.notes,
    )


def similarity_task(rows: Sequence[Mapping[str, Any]], a: str, b: str, score: str) -> FitTask:
    """Return a task of two texts a row and how alike people say they are.

    Raises:
        DataError: a row lacks a text or a number, or there are fewer than three rows.
    """
    found = tuple(
        {"a": _text(row, a, n), "b": _text(row, b, n), "score": _number(row, score, n)} for n, row in _of(rows)
    )
    if len(found) < 3 or len({row["score"] for row in found}) < 2:
        raise DataError("a correlation needs three rows or more, and scores that differ")
    return FitTask("similarity", found)


def choices_task(rows: Sequence[Mapping[str, Any]], prompt: str, choices: str, answer: str) -> FitTask:
    """Return a task of a prompt, a list of choices, and the right one: its index or its text.

    Raises:
        DataError: a row lacks one, or its answer is none of its choices.
    """
    found = []
    for n, row in _of(rows):
        options, right = row.get(choices), row.get(answer)
        if not isinstance(options, list) or len(options) < 2 or not all(isinstance(o, str) and o for o in options):
            raise DataError(f"row {n}: column {choices!r} must hold two texts or more")
        if isinstance(right, str) and right in options:
            right = options.index(right)
        if isinstance(right, bool) or not isinstance(right, int) or not 0 <= right < len(options):
            raise DataError(f"row {n}: column {answer!r} is {right!r}, which is none of its {len(options)} choices")
        found.append({"prompt": _text(row, prompt, n), "choices": list(options), "answer": right})
    return FitTask("choices", tuple(found))


def text_task(rows: Sequence[Mapping[str, Any]], text: str) -> FitTask:
    """Return a task of texts: how likely a model finds them; of each the first 2,000 characters.

    Raises:
        DataError: a row lacks its text.
    """
    return FitTask("text", tuple({"text": _text(row, text, n)[:MAX_CHARACTERS]} for n, row in _of(rows)))


def value_of(sort: Sort) -> Callable[[Floats], float]:
    """Return the quality of scored rows (rows, numbers), the higher the better.

    A row's numbers: of classes and choices, 1 where right; of similarity, people's score and the cosine; of text, its
    log-probability in nats, its bytes and its tokens.
    """
    if sort == "similarity":
        return _rho
    if sort == "text":
        return lambda rows: float(rows[:, 0].sum() / rows[:, 1].sum() / math.log(2))
    return lambda rows: float(rows[:, 0].mean())


def quality(sort: Sort, scores: Floats, seed: int = 0) -> Interval:
    """Return the quality of scored rows with its 95% interval."""
    if sort in ("classes", "choices"):
        return wilson(float(scores[:, 0].sum()), len(scores))
    return bootstrap(scores, value_of(sort), method="percentile", resamples=2000, seed=seed)


def above(sort: Sort, one: Floats, other: Floats, seed: int = 0) -> Interval:
    """Return by how much one candidate is better than another on the same rows, paired, with its 95% interval."""
    if sort in ("classes", "choices") and np.array_equal(one, other):
        return paired_score(one[:, 0], other[:, 0])  # a bootstrap would take them for the same model
    how: dict[str, Any] = {"method": "percentile", "resamples": 2000, "seed": seed}
    return paired_bootstrap(one, other, value_of(sort), **how)


def perplexity(scores: Floats) -> float:
    """Return the perplexity a token of scored rows of text."""
    return math.exp(-float(scores[:, 0].sum() / scores[:, 2].sum()))


def _rho(rows: Floats) -> float:
    """Return Spearman's correlation; that of rows that do not differ is 0."""
    return correlation(np.stack([ranks(rows[:, 0]), ranks(rows[:, 1])], axis=1))


def _of(rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
    if not rows:
        raise DataError("no rows to measure on")
    return list(enumerate(rows, 1))


def _text(row: Mapping[str, Any], column: str, number: int) -> str:
    found = row.get(column)
    if not isinstance(found, str) or not found.strip():
        raise DataError(f"row {number}: no text in column {column!r}; there are {', '.join(map(str, row))}")
    return found


def _number(row: Mapping[str, Any], column: str, number: int) -> float:
    try:
        found = float(row[column])
    except (KeyError, TypeError, ValueError):
        raise DataError(f"row {number}: no number in column {column!r}") from None
    if not math.isfinite(found):
        raise DataError(f"row {number}: column {column!r} is {found}, not a finite number")
    return found
