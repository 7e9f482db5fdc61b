"""Whole sentences, by what they have to do with a question, or with the rest of the text.

It is a way of its own, and what goes before a token-level one: words, vectors and judges of sentences cost little.

Sources: Robertson and Zaragoza 2009 (BM25), equation 3.15; Nenkova and Vanderwende 2005 (SumBasic), section 2, for
what is central; Xu et al. 2024 (RECOMP), section 3.1, for sentences as what is kept of passages.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.measure.support import Supports
from pilotfish.prompt.compress.way import Asked, Rank, Ranked, Scored
from pilotfish.rows.sentences import spans_of

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder

__all__ = ["BySentences", "Mixed", "RankBySupport", "RankByVectors", "RankByWords"]

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class RankByWords:
    """Ranks by the words shared with the question (BM25, idf over the texts themselves).

    A word counts as shared where its first letters are: five, or all but two of a longer one, so that "wins" and
    "winning" meet. Without a question the best text is the one whose words are said most in all (SumBasic's measure).

    Attributes:
        k1: how soon a word that comes again counts no more.
        b: how far long texts are held against.
    """

    k1: float = 1.2
    b: float = 0.5

    def __call__(self, question: str, texts: Sequence[str]) -> Ranked:
        """Return each text's BM25 score."""
        words = [Counter(_stems(text)) for text in texts]
        if not question.strip():
            return Ranked(_central(words))
        lengths = np.array([max(1, sum(one.values())) for one in words])
        mean = float(lengths.mean()) if len(lengths) else 1.0
        within = Counter(word for one in words for word in one)
        asked = Counter(_stems(question))
        found = np.zeros(len(texts))
        for word, times in asked.items():
            if word not in within:
                continue
            idf = math.log(1 + (len(texts) - within[word] + 0.5) / (within[word] + 0.5))
            for at, one in enumerate(words):
                if count := one.get(word, 0):
                    norm = self.k1 * (1 - self.b + self.b * lengths[at] / mean)
                    found[at] += min(times, 2) * idf * count * (self.k1 + 1) / (count + norm)
        return Ranked(found)


def _central(words: Sequence[Counter[str]]) -> NDArray[np.float64]:
    """Return how often the words of each text are said in all, the mean over those of four letters or more."""
    total: Counter[str] = Counter()
    for one in words:
        total.update({word: count for word, count in one.items() if len(word) > 3})
    whole = max(1, total.total())
    kept = [[(total[word], count) for word, count in one.items() if len(word) > 3] for one in words]
    return np.array([sum(said * count for said, count in one) / whole / max(1, sum(n for _, n in one)) for one in kept])


def _stems(text: str) -> list[str]:
    return [word[: max(5, len(word) - 2)] for word in _WORD.findall(text.casefold())]


@dataclass(frozen=True)
class RankByVectors:
    """Ranks by the cosine of an encoder's vectors: a text's and the question's, or the mean of all texts without one.

    Attributes:
        encoder: of texts.
    """

    encoder: Encoder

    def __call__(self, question: str, texts: Sequence[str]) -> Ranked:
        """Return each text's cosine."""
        if not texts:
            return Ranked(np.zeros(0))
        asked = [question] if question.strip() else []
        whole = _unit(self.encoder.encode([*texts, *asked]))
        vectors = whole[: len(texts)]
        aim = whole[-1] if asked else _unit(vectors.mean(axis=0, keepdims=True))[0]
        read = sum(min(size, self.encoder.max_length) for size in self.encoder.lengths([*texts, *asked]))
        return Ranked((vectors @ aim).astype(np.float64), read)


@dataclass(frozen=True)
class RankBySupport:
    """Ranks by how far a text bears the question out: of any such function, as a re-ranker or a model of entailment.

    Attributes:
        supports: from (text, question) pairs to numbers; what it reads is not known here.
    """

    supports: Supports

    def __call__(self, question: str, texts: Sequence[str]) -> Ranked:
        """Return what the function says of each text.

        Raises:
            ConfigError: no question.
        """
        if not question.strip():
            raise ConfigError("sentences are judged by a question, and there is none")
        return Ranked(np.asarray(self.supports([(text, question) for text in texts]), np.float64))


@dataclass(frozen=True)
class Mixed:
    """Ranks by several rankers, each put to mean 0 and deviation 1 and weighed.

    Attributes:
        ranks: the rankers.
        weights: one each; None weighs all alike.
    """

    ranks: tuple[Rank, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.ranks or (self.weights is not None and len(self.weights) != len(self.ranks)):
            raise ConfigError("mixed: give rankers, and as many weights")

    def __call__(self, question: str, texts: Sequence[str]) -> Ranked:
        """Return the weighed sum."""
        found, read = np.zeros(len(texts)), 0
        for rank, weight in zip(self.ranks, self.weights or (1.0,) * len(self.ranks), strict=True):
            one = rank(question, texts)
            found += weight * standard(one.values)
            read += one.read
        return Ranked(found, read)


@dataclass(frozen=True)
class BySentences:
    """Scores units by their sentence's rank: whole sentences are kept, and of the last one the beginning.

    Attributes:
        rank: of sentences.
        near: which part of what its better neighbour is worth a sentence is worth at least; answers often stand in the
            sentence behind the one that shares the question's words.
        language: of the sentences, as ISO 639-1.
    """

    rank: Rank
    near: float = 0.0
    language: str = "en"
    name: str = "sentences"

    def __call__(self, asked: Asked) -> Scored:
        """Return each unit's value: its sentence's rank, and earlier units of a sentence first."""
        spans = spans_of(asked.text, self.language)
        if not spans:
            return Scored(np.zeros(len(asked.units)))
        told = self.rank(asked.question, [asked.text[start:end] for start, end in spans])
        values = standard(told.values)
        if self.near and len(values) > 1:
            values = values - values.min()
            beside = np.maximum(np.append(values[1:], 0.0), np.insert(values[:-1], 0, 0.0))
            values = np.maximum(values, self.near * beside)
        # Places and not values: two sentences of one value would else be mixed word by word.
        order = np.lexsort((np.arange(len(values)), -values))
        place = np.empty(len(values))
        place[order] = np.arange(len(values))
        starts = np.array([start for start, _ in spans])
        owner = np.clip(np.searchsorted(starts, [start for start, _ in asked.units], side="right") - 1, 0, None)
        return Scored(-place[owner] - np.arange(len(asked.units)) / (len(asked.units) + 1), None, told.read)


def standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values with mean 0 and deviation 1; zeros where all are the same."""
    spread = float(values.std()) if len(values) else 0.0
    return (values - values.mean()) / spread if spread > 1e-12 else np.zeros(len(values))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32(1e-12)))
