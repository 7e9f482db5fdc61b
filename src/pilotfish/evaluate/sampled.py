"""Metrics of rows that hold further answers to the same question: SelfCheck, and how many meanings the answers have.

What they hold is lists of texts in a column. All ways are of `selfcheck` and of `uncertainty`; here they are metrics,
as other ones are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.errors import DataError
from pilotfish.evaluate.scores import Scores
from pilotfish.evaluate.uncertainty.clusters import Entails, clusters, entailments, same_words
from pilotfish.evaluate.uncertainty.entropy import discrete_semantic_entropy
from pilotfish.rows.sentences import sentences_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Meanings", "SelfCheck"]

# From an answer's sentences and further answers to how likely each sentence is made up.
Checks = Callable[[Sequence[str], Sequence[str]], "NDArray[np.float64]"]
# From pairs of texts to how many tokens of each are not read.
LeftOut = Callable[[Sequence[tuple[str, str]]], Sequence[int]]


class SelfCheck:
    """Scores answers by how likely their sentences are made up, as further answers tell: lower is better.

    Args:
        checks: a way of `selfcheck` with its model: (sentences, samples) -> (sentences,).
        name: of the way, in reports.
        language: of sentences.
        left_out: what the model does not read of pairs, where it tells.
    """

    def __init__(self, checks: Checks, name: str, *, language: str = "en", left_out: LeftOut | None = None) -> None:
        self.checks, self.language, self.left_out = checks, language, left_out
        self.name = f"selfcheck ({name})"

    def __call__(
        self,
        answers: Sequence[str],
        samples: Sequence[str | Sequence[str]],
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Scores:
        """Return the mean over each answer's sentences, with its worst one. An empty answer makes up nothing.

        Raises:
            DataError: columns of different length.
        """
        told, notes = [], []
        for number, (answer, some) in enumerate(_rows(answers, samples), 1):
            sentences, further = sentences_of(answer, self.language), _texts(some)
            found = [] if sentences else ["the answer is empty"]
            found += _odd(some)
            pairs = [(sentence, one) for sentence in sentences for one in further]
            notes.append("; ".join(found + _cut(self.left_out, pairs)))
            if not sentences or not further:
                # Of an answer without samples nothing is known: neither made up nor not.
                told.append(np.array([0.0 if not sentences else 0.5]))
                continue
            scores = self.checks(sentences, further)
            if len(scores) != len(sentences) or not np.isfinite(scores).all():
                raise DataError(f"row {number}: {len(sentences)} sentences need as many finite scores")
            told.append(scores)
            if progress:
                progress(1)
        values = np.array([one.mean() for one in told], np.float64)
        return Scores(self.name, values, {"worst": np.array([one.max() for one in told], np.float64)}, notes)


class Meanings:
    """Scores rows by the entropy over the meanings of their answers, in nats: lower is surer.

    Two answers mean the same where each entails the other; by default where they have the same words in order.

    Args:
        entails: from (premise, hypothesis) pairs to probabilities.
        least: see `clusters`.
        name: of the model, in reports.
        left_out: what the model does not read of pairs, where it tells.
    """

    def __init__(
        self,
        entails: Entails = same_words,
        *,
        least: float = 0.5,
        name: str = "same words",
        left_out: LeftOut | None = None,
    ) -> None:
        self.entails, self.least, self.left_out = entails, least, left_out
        self.name = f"semantic entropy ({name})"

    def __call__(
        self, samples: Sequence[str | Sequence[str]], *, progress: Callable[[int], None] | None = None
    ) -> Scores:
        """Return the discrete semantic entropy of each row's answers, and how many "meanings" they have."""
        values, counts = np.zeros(len(samples)), np.zeros(len(samples))
        notes = []
        for number, some in enumerate(samples):
            further = _texts(some)
            pairs = [(one, other) for one in dict.fromkeys(further) for other in dict.fromkeys(further) if one != other]
            alone = ["one answer tells no meanings apart"] if len(further) == 1 else []
            notes.append("; ".join(_odd(some) + alone + _cut(self.left_out, pairs)))
            if further:
                found = clusters(entailments(further, self.entails), least=self.least)
                values[number], counts[number] = discrete_semantic_entropy(found), len(set(found))
            if progress:
                progress(1)
        return Scores(self.name, values, {"meanings": counts}, notes)


def _rows(answers: Sequence[str], samples: Sequence[str | Sequence[str]]) -> list[tuple[str, str | Sequence[str]]]:
    if len(answers) != len(samples):
        raise DataError(f"{len(answers)} answers, {len(samples)} rows of samples")
    return list(zip(answers, samples, strict=True))


def _texts(some: str | Sequence[str]) -> list[str]:
    return [one for one in ([some] if isinstance(some, str) else some) if one.strip()]


def _odd(some: str | Sequence[str]) -> list[str]:
    further = _texts(some)
    if not further:
        return ["there is no sample"]
    return ["a sample is empty"] if not isinstance(some, str) and len(further) < len(some) else []


def _cut(left_out: LeftOut | None, pairs: Sequence[tuple[str, str]]) -> list[str]:
    lost = sum(left_out(pairs)) if left_out is not None and pairs else 0
    return [f"cut: {lost} tokens were not read"] if lost else []
