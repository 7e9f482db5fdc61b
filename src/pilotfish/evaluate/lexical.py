"""ROUGE, BLEU and chrF by the libraries that the field compares by: what a model's metric has to beat; short answers.

Libraries: rouge-score (Google's, the numbers of Lin 2004's program), sacrebleu (Post 2018). Exact match and F1 of words
are SQuAD's (Rajpurkar et al. 2016).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ConfigError
from pilotfish.evaluate.marks import words_marked
from pilotfish.evaluate.references import paired
from pilotfish.evaluate.scores import Scores
from pilotfish.measure.extractive import exact_match, word_f1
from pilotfish.measure.report.document import MarkedText

__all__ = ["Bleu", "Chrf", "Lexical", "Rouge", "Short"]

_READ = re.compile("[a-zA-Z0-9]")
SHORT = {"exact-match": exact_match, "word-f1": word_f1}
KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")


class Lexical(ABC):
    """A metric that a library scores a row at a time.

    Attributes:
        name: in reports.
    """

    name: str

    @abstractmethod
    def scorer(self) -> Callable[[str, Sequence[str]], Mapping[str, float]]:
        """Return what scores a text by its references: "score", from 0 to 1, and further parts.

        Raises:
            MissingExtra: its library is not installed.
        """

    def __call__(
        self,
        candidates: Sequence[str],
        references: Sequence[str | Sequence[str]],
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Scores:
        """Return the scores.

        Raises:
            MissingExtra: its library is not installed.
            DataError: another number of references than of candidates, or a row without any.
        """
        scorer, told, notes = self.scorer(), [], []
        for mine, theirs in paired(candidates, references):
            told.append(scorer(mine, theirs))
            notes.append("; ".join([*_empty(mine, theirs), *self.odd(mine, theirs)]))
            if progress:
                progress(1)
        columns = {part: np.array([row[part] for row in told], np.float64) for part in (told[0] if told else {})}
        return Scores(self.name, columns.pop("score", np.zeros(0)), columns, notes)

    def odd(self, mine: str, theirs: Sequence[str]) -> list[str]:
        """Return what is odd about a row beyond what is odd to all."""
        return []

    def marked(self, candidate: str, references: str | Sequence[str]) -> list[MarkedText]:
        """Return both texts for people to look at: see `words_marked`."""
        return words_marked(candidate, references)


class Rouge(Lexical):
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
        self.name = f"{kind} (stems)" if stemmed else kind

    def scorer(self) -> Callable[[str, Sequence[str]], Mapping[str, float]]:
        """See `Lexical`."""
        library = need("rouge_score.rouge_scorer", "evaluate").RougeScorer([self.kind], use_stemmer=self.stemmed)

        def score(mine: str, theirs: Sequence[str]) -> Mapping[str, float]:
            best = max((library.score(one, mine)[self.kind] for one in theirs), key=lambda one: one.fmeasure)
            return {"score": best.fmeasure, "precision": best.precision, "recall": best.recall}

        return score

    def odd(self, mine: str, theirs: Sequence[str]) -> list[str]:
        """See `Lexical`: of a text in another script the library reads nothing."""
        unread = any(one.strip() and not _READ.search(one) for one in (mine, *theirs))
        return ["no Latin letter or digit: rouge-score reads nothing else"] if unread else []


class Bleu(Lexical):
    """Sentence BLEU, smoothed, with the order that a short text allows; all references of a row count together."""

    name = "bleu"

    def scorer(self) -> Callable[[str, Sequence[str]], Mapping[str, float]]:
        """See `Lexical`."""
        return _by_sentence(need("sacrebleu.metrics", "evaluate").BLEU(effective_order=True))


class Chrf(Lexical):
    """chrF, or chrF++ with words of up to two; all references of a row count together.

    Args:
        words: 0, or 2 for chrF++.
    """

    def __init__(self, words: int = 0) -> None:
        self.words = words
        self.name = "chrf" if words == 0 else "chrf++" if words == 2 else f"chrf, {words} words"

    def scorer(self) -> Callable[[str, Sequence[str]], Mapping[str, float]]:
        """See `Lexical`."""
        return _by_sentence(need("sacrebleu.metrics", "evaluate").CHRF(word_order=self.words))


class Short(Lexical):
    """Short answers: whether one is equal to a reference, or how many words it shares with the one it shares most with.

    Args:
        kind: "exact-match" or "word-f1".

    Raises:
        ConfigError: another kind.
    """

    def __init__(self, kind: str = "exact-match") -> None:
        if kind not in SHORT:
            raise ConfigError(f"kind is one of {', '.join(SHORT)}, not {kind!r}")
        self.name = kind

    def scorer(self) -> Callable[[str, Sequence[str]], Mapping[str, float]]:
        """See `Lexical`."""
        score = SHORT[self.name]
        return lambda mine, theirs: {"score": score(mine, theirs)}


def _by_sentence(metric: Any) -> Callable[[str, Sequence[str]], Mapping[str, float]]:
    # sacrebleu's own numbers are a hundred times these.
    return lambda mine, theirs: {"score": float(metric.sentence_score(mine, list(theirs)).score) / 100}


def _empty(mine: str, theirs: Sequence[str]) -> list[str]:
    found = ["the candidate is empty"] if not mine.strip() else []
    return found + (["a reference is empty"] if not all(one.strip() for one in theirs) else [])
