"""ROUGE, BLEU and chrF by the libraries that the field compares by: what a model's metric has to beat.

Libraries: rouge-score (Google's, the numbers of Lin 2004's program), sacrebleu (Post 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ConfigError
from pilotfish.evaluate.references import paired
from pilotfish.evaluate.scores import Scores

__all__ = ["Bleu", "Chrf", "Rouge"]

Progress = Callable[[int], None]
KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")


class Rouge:
    """ROUGE F1 of each row with precision and recall; of several references the one with the best F1 counts.

    Args:
        kind: "rouge1", "rouge2", "rougeL" or "rougeLsum" (whose sentences are on lines of their own).
        stemmed: take Porter's stems of words.

    Raises:
        ConfigError: another kind.
    """

    def __init__(self, kind: str = "rougeL", *, stemmed: bool = False) -> None:
        if kind not in KINDS:
            raise ConfigError(f"kind is one of {', '.join(KINDS)}, not {kind!r}")
        self.kind, self.stemmed = kind, stemmed

    @property
    def name(self) -> str:
        """The kind, and whether of stems."""
        return f"{self.kind} (stems)" if self.stemmed else self.kind

    def __call__(
        self,
        candidates: Sequence[str],
        references: Sequence[str | Sequence[str]],
        *,
        progress: Progress | None = None,
    ) -> Scores:
        """Return the scores, from 0 to 1.

        Raises:
            MissingExtra: rouge-score is not installed.
            DataError: another number of references than of candidates, or a row without any.
        """
        scorer = need("rouge_score.rouge_scorer", "evaluate").RougeScorer([self.kind], use_stemmer=self.stemmed)
        found = []
        for mine, theirs in paired(candidates, references):
            told = [scorer.score(one, mine)[self.kind] for one in theirs]
            found.append(max(told, key=lambda one: one.fmeasure))
            if progress:
                progress(1)
        columns = np.array([(one.fmeasure, one.precision, one.recall) for one in found], np.float64).reshape(-1, 3)
        notes = [_empty(mine, theirs) for mine, theirs in paired(candidates, references)]
        return Scores(self.name, columns[:, 0], {"precision": columns[:, 1], "recall": columns[:, 2]}, notes)


class _Sacre:
    """What sacrebleu scores a sentence at a time, from 0 to 1 (its own numbers are a hundred times that)."""

    name: str

    def _metric(self) -> Any:
        raise NotImplementedError

    def __call__(
        self,
        candidates: Sequence[str],
        references: Sequence[str | Sequence[str]],
        *,
        progress: Progress | None = None,
    ) -> Scores:
        """Return the scores; all references of a row count together.

        Raises:
            MissingExtra: sacrebleu is not installed.
            DataError: another number of references than of candidates, or a row without any.
        """
        metric, values, notes = self._metric(), [], []
        for mine, theirs in paired(candidates, references):
            values.append(float(metric.sentence_score(mine, list(theirs)).score) / 100)
            notes.append(_empty(mine, theirs))
            if progress:
                progress(1)
        return Scores(self.name, np.array(values, np.float64), {}, notes)


class Bleu(_Sacre):
    """Sentence BLEU, smoothed, with the order that a short text allows (`effective_order`)."""

    name = "bleu"

    def _metric(self) -> Any:
        return need("sacrebleu.metrics", "evaluate").BLEU(effective_order=True)


class Chrf(_Sacre):
    """chrF, or chrF++ with words of up to two.

    Args:
        words: 0, or 2 for chrF++.
    """

    def __init__(self, words: int = 0) -> None:
        self.words = words
        self.name = "chrf" if words == 0 else "chrf++" if words == 2 else f"chrf, {words} words"

    def _metric(self) -> Any:
        return need("sacrebleu.metrics", "evaluate").CHRF(word_order=self.words)


def _empty(mine: str, theirs: Sequence[str]) -> str:
    found = ["the candidate is empty"] if not mine.strip() else []
    return "; ".join(found + (["a reference is empty"] if not all(one.strip() for one in theirs) else []))
