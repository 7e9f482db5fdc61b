"""Which notes a large model is shown: those near the question, short, and borne out by other texts.

Source: Feng et al. 2024 (Knowledge Card), section 2.2: relevance (an encoder's similarity of question and document, the
best k), brevity (their documents are summarised; here the sentences nearest to the question are kept, in their order,
so that nothing new is said), factuality (how far a text that a retriever finds bears the document out; one of the k
best is drawn with a probability that rises with its score, their top-k factuality sampling).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pilotfish.adapt.knowledge.card import Note
from pilotfish.errors import ConfigError, ModelError
from pilotfish.measure.support import Supports
from pilotfish.rows.sentences import sentences_of

__all__ = ["Brevity", "Encodes", "Factuality", "Relevance", "Select"]

# From a note to texts that may bear it out.
Evidence = Callable[[str], Sequence[str]]


class Encodes(Protocol):
    """An encoder, as far as it is needed here."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector a text."""


class Select(Protocol):
    """Keeps some of the notes about a question, perhaps changed, best first."""

    async def __call__(self, question: str, notes: Sequence[Note]) -> list[Note]:
        """Return those to keep."""


@dataclass(frozen=True)
class Relevance:
    """Keeps the notes that are nearest to the question by an encoder.

    Attributes:
        encoder: of both.
        keep: how many at most.
        least: cosine that is needed.
    """

    encoder: Encodes
    keep: int = 3
    least: float = 0.0

    def __post_init__(self) -> None:
        if self.keep < 1 or not -1 <= self.least <= 1:
            raise ConfigError("relevance keeps one note or more, with a least cosine between -1 and 1")

    async def __call__(self, question: str, notes: Sequence[Note]) -> list[Note]:
        """Return the nearest notes, each with its cosine."""
        if not notes:
            return []
        near = await asyncio.to_thread(_near, self.encoder, question, [note.text for note in notes])
        ranked = sorted(range(len(notes)), key=lambda i: (-near[i], i))
        kept = [replace(notes[i], relevance=round(float(near[i]), 6)) for i in ranked if near[i] >= self.least]
        return kept[: self.keep]


@dataclass(frozen=True)
class Brevity:
    """Cuts notes to their sentences nearest to the question, within a budget of words for each.

    Attributes:
        encoder: of question and sentences.
        words: of a note at most; one whose nearest sentence is longer keeps that sentence's first words.
        language: of notes, for where their sentences end.
    """

    encoder: Encodes
    words: int = 60
    language: str = "en"

    def __post_init__(self) -> None:
        if self.words < 1:
            raise ConfigError("a note has one word or more")

    async def __call__(self, question: str, notes: Sequence[Note]) -> list[Note]:
        """Return the notes, cut."""
        parts = [sentences_of(note.text, self.language) for note in notes]
        long = [i for i, note in enumerate(notes) if len(note.text.split()) > self.words]
        if not long:
            return list(notes)
        flat = [sentence for i in long for sentence in parts[i]]
        near = await asyncio.to_thread(_near, self.encoder, question, flat)
        found, at = list(notes), 0
        for i in long:
            mine = near[at : at + len(parts[i])]
            at += len(parts[i])
            kept, room = set(), self.words
            for j in np.argsort(-mine, kind="stable").tolist():
                size = len(parts[i][j].split())
                if size <= room:
                    kept.add(j)
                    room -= size
            if kept:
                text = " ".join(parts[i][j] for j in sorted(kept))
            else:
                text = " ".join(parts[i][int(np.argmax(mine))].split()[: self.words])
            found[i] = replace(notes[i], text=text)
        return found


@dataclass(frozen=True)
class Factuality:
    """Keeps notes that other texts bear out.

    A note's factuality is the mean over its sentences of how far the best text bears each out.

    Attributes:
        supports: says how far a text bears out a sentence: an NLI model, words.
        evidence: finds texts for a note: a retriever over texts that are trusted. None takes the other cards' notes:
            what two of them say is likelier true.
        keep: how many at most.
        least: factuality that is needed.
        seed: draws the kept ones among the 2 * keep best, with probabilities as exp(factuality / 0.1); None takes the
            best.
        language: of notes, for where their sentences end.
    """

    supports: Supports
    evidence: Evidence | None = None
    keep: int = 3
    least: float = 0.0
    seed: int | None = None
    language: str = "en"

    def __post_init__(self) -> None:
        if self.keep < 1 or not 0 <= self.least <= 1:
            raise ConfigError("factuality keeps one note or more, with a least score between 0 and 1")

    async def __call__(self, question: str, notes: Sequence[Note]) -> list[Note]:
        """Return the notes that are borne out best.

        Raises:
            ModelError: not a number from 0 to 1 for each.
        """
        scores = await asyncio.to_thread(self._scores, notes)
        scored = [replace(note, factuality=round(score, 6)) for note, score in zip(notes, scores, strict=True)]
        good = [note for note in scored if (note.factuality or 0.0) >= self.least]
        ranked = sorted(good, key=lambda note: -(note.factuality or 0.0))
        if self.seed is None or len(ranked) <= self.keep:
            return ranked[: self.keep]
        some = ranked[: 2 * self.keep]
        weights = np.exp((np.array([note.factuality or 0.0 for note in some]) - 1.0) / 0.1)
        # A draw of its own for each question, the same whenever it is asked.
        random = np.random.default_rng([self.seed, *question.encode("utf-8", "replace")])
        drawn = random.choice(len(some), self.keep, replace=False, p=weights / weights.sum())
        return [some[i] for i in sorted(drawn)]

    def _scores(self, notes: Sequence[Note]) -> list[float]:
        pairs, owners = [], []
        for number, note in enumerate(notes):
            if self.evidence is None:
                texts: Sequence[str] = [one.text for one in notes if one.card != note.card]
            else:
                texts = self.evidence(note.text)
            sentences = sentences_of(note.text, self.language)
            for place, sentence in enumerate(sentences):
                for text in texts:
                    pairs.append((text, sentence))
                    owners.append((number, place, len(sentences)))
        told = [float(one) for one in self.supports(pairs)] if pairs else []
        if len(told) != len(pairs) or not all(0 <= one <= 1 for one in told):
            raise ModelError(f"{len(pairs)} sentences need as many numbers from 0 to 1")
        best: dict[tuple[int, int, int], float] = {}
        for owner, score in zip(owners, told, strict=True):
            best[owner] = max(score, best.get(owner, 0.0))
        found = [0.0] * len(notes)
        for (number, _, count), score in best.items():
            found[number] += score / count
        return found


def _near(encoder: Encodes, question: str, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the cosine of each text with the question: (texts,)."""
    vectors = np.asarray(encoder.encode([question, *texts]), np.float64)
    lengths = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
    found: NDArray[np.float64] = (vectors[1:] @ vectors[0]) / (lengths[1:] * lengths[0])
    return found
