"""How well faulty words, places and answers are found, each figure with its interval by documents.

Words: F1 and the area under the ROC curve. Places: F1 of the characters that are called faulty (as LettuceDetect,
section 4, reports RAGTruth's spans). Answers: F1, and the area, of the worst word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.measure.curve import area
from pilotfish.measure.intervals import Interval, bootstrap, paired_bootstrap
from pilotfish.repair.tokens.judged import Judged
from pilotfish.repair.tokens.rows import Answered, marked

__all__ = ["SpanReport", "area_by_documents", "area_gain", "reported"]

_RESAMPLES = 1000


@dataclass(frozen=True)
class SpanReport:
    """Figures of one way to find faults.

    Attributes:
        name: of the way.
        answers, documents, words: how many.
        faulty: share of the words that are.
        word_f1, word_area: of words; None where no answer has its spans told, or all words are alike.
        span_f1: of characters.
        answer_f1, answer_area: of answers; None where all are alike.
    """

    name: str
    answers: int
    documents: int
    words: int
    faulty: float
    word_f1: Interval | None
    word_area: Interval | None
    span_f1: Interval | None
    answer_f1: Interval | None
    answer_area: Interval | None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return {name: value.to_json() if isinstance(value, Interval) else value for name, value in vars(self).items()}

    def __str__(self) -> str:
        told = [
            f"{what} {value}"
            for what, value in (
                ("word F1", self.word_f1),
                ("word area", self.word_area),
                ("span F1", self.span_f1),
                ("answer F1", self.answer_f1),
                ("answer area", self.answer_area),
            )
            if value is not None
        ]
        return f"{self.name}: {', '.join(told)}; {self.answers:,} answers of {self.documents:,} documents"


def reported(
    name: str,
    rows: Sequence[Answered],
    judged: Sequence[Judged],
    threshold: float,
    answer_threshold: float,
    *,
    seed: int = 0,
) -> SpanReport:
    """Return the figures of what was said of answers.

    Args:
        name: of who said it.
        rows: the answers; those without spans count as whole answers only.
        judged: one a row.
        threshold: from which on a word is called faulty.
        answer_threshold: from which on of its worst word an answer is.
        seed: of the resamples.

    Raises:
        DataError: no answers, or not one judgement each.
    """
    if not rows or len(rows) != len(judged):
        raise DataError(f"{len(rows)} answers and {len(judged)} judgements: there is nothing to report")
    documents, home = np.unique([row.document for row in rows], return_inverse=True)
    known = [at for at, row in enumerate(rows) if row.spans is not None or not row.is_faulty]
    truth = [marked(judged[at].words, rows[at].spans or ()) for at in known]
    words = np.concatenate(truth) if truth else np.zeros(0, bool)
    table = np.array([_counts(rows[at], judged[at], threshold, part) for at, part in zip(known, truth, strict=True)])
    faulty = np.array([row.is_faulty for row in rows])
    worst = np.array([one.most for one in judged])
    said = worst >= answer_threshold
    answers = np.stack([said & faulty, said & ~faulty, ~said & faulty], axis=1).astype(np.float64)
    where = home[known]
    apart = 0 < words.sum() < len(words)
    return SpanReport(
        name,
        len(rows),
        len(documents),
        len(words),
        float(words.mean()) if len(words) else 0.0,
        _f1(table[:, :3], where, seed) if apart else None,
        area_by_documents(
            np.concatenate([judged[at].scores for at in known]),
            words,
            np.repeat(where, [len(part) for part in truth]),
            seed=seed,
        )
        if apart
        else None,
        _f1(table[:, 3:], where, seed) if apart else None,
        _f1(answers, home, seed) if 0 < faulty.sum() < len(faulty) else None,
        area_by_documents(worst, faulty, home, seed=seed) if 0 < faulty.sum() < len(faulty) else None,
    )


def area_by_documents(
    scores: NDArray[np.float64], faulty: NDArray[np.bool_], documents: Any, *, seed: int = 0
) -> Interval:
    """Return the area under the ROC curve, its interval by drawing documents.

    Documents with a fault and those without are drawn apart, so that no draw is without either.
    """
    table = np.stack([scores, faulty], axis=1)
    return bootstrap(table, _area, resamples=_RESAMPLES, method="percentile", seed=seed, **_drawn(faulty, documents))


def area_gain(
    ours: NDArray[np.float64],
    other: NDArray[np.float64],
    faulty: NDArray[np.bool_],
    documents: Any,
    *,
    seed: int = 0,
) -> Interval:
    """Return how much larger one area is than another on the same rows, by drawing documents."""
    a, b = (np.stack([scores, faulty], axis=1) for scores in (ours, other))
    return paired_bootstrap(
        a, b, _area, resamples=_RESAMPLES, method="percentile", seed=seed, **_drawn(faulty, documents)
    )


def _drawn(faulty: NDArray[np.bool_], documents: Any) -> dict[str, Any]:
    _, home = np.unique(documents, return_inverse=True)
    some = np.zeros(home.max() + 1, dtype=bool)
    np.logical_or.at(some, home, faulty)
    return {"groups": home, "strata": some[home].astype(np.int64)}


def _area(table: NDArray[Any]) -> float:
    faulty = table[:, 1] > 0
    # Every document of the draw may be faulty in all its rows: a draw that tells nothing counts as chance.
    return area(table[:, 0], faulty) if 0 < faulty.sum() < len(faulty) else 0.5


def _f1(counts: NDArray[np.float64], documents: Any, seed: int) -> Interval:
    def statistic(rows: NDArray[Any]) -> float:
        both, extra, missed = rows.sum(axis=0)
        return float(2 * both / max(2 * both + extra + missed, 1e-12))

    return bootstrap(counts, statistic, resamples=_RESAMPLES, method="percentile", seed=seed, groups=documents)


def _counts(row: Answered, judged: Judged, threshold: float, truth: NDArray[np.bool_]) -> list[float]:
    """Return words and characters that are called faulty and are, that are not, and that are and are not called so."""
    said = judged.scores >= threshold
    ours, theirs = np.zeros(len(row.answer), dtype=bool), np.zeros(len(row.answer), dtype=bool)
    for start, end, _ in judged.spans(threshold):
        ours[start:end] = True
    for start, end in row.spans or ():
        theirs[start:end] = True
    return [
        float(one.sum())
        for one in (said & truth, said & ~truth, ~said & truth, ours & theirs, ours & ~theirs, ~ours & theirs)
    ]
