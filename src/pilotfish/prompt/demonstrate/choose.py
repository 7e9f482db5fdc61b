"""Which demonstrations a question gets: near to it, unlike each other where that is wanted, and never itself.

Sources: Liu et al. 2022 (What Makes Good In-Context Examples for GPT-3?), the nearest, and their order; diversity:
Carbonell and Goldstein 1998 (MMR), Ye et al. 2023 (CEIL; determinantal processes), Nemhauser et al. 1978 (facility
location, here among the candidates).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.prompt.demonstrate.find import ByChance, Finder
from pilotfish.prompt.demonstrate.pool import Pool
from pilotfish.rows.diverse import determinantal, in_turn, marginal
from pilotfish.rows.facility import facility_location

__all__ = ["Chooser", "Chosen", "Diverse", "Order"]

Diverse = Literal["no", "mmr", "determinantal", "facility-location", "balanced"]
Order = Literal["best-last", "best-first"]
_REMEMBERED = 10_000  # questions whose choice is kept


@dataclass(frozen=True)
class Chosen:
    """The demonstrations of a question.

    Attributes:
        places: in the pool, the one taken first in front: where there is no room for all, the last is left out first.
        scores: how near each is.
        same: how many candidates were left out because they are the question itself.
    """

    places: tuple[int, ...]
    scores: tuple[float, ...]
    same: int = 0


@dataclass(frozen=True)
class Chooser:
    """Chooses demonstrations.

    Attributes:
        finder: tells how near they are; its pool is what is chosen from.
        k: how many.
        diverse: "no" takes the nearest; "mmr" each next one near, and unlike those before it; "determinantal" the same
            by determinants, which see what several span together; "facility-location" those that the candidates are
            most like; "balanced" the nearest of each output in turn, for labels.
        relevance: of "mmr" and "determinantal": 1 looks at nearness alone, 0 at difference alone.
        candidates: the nearest so many are what diversity chooses from.
        order: as they are shown. What stands last, next to the question, counts most.
        same: the Jaccard similarity of inputs (sets of three letters) from which on a demonstration is the question
            itself and is not shown; 1 is for the same text but for case, punctuation and spaces. None shows it: there a
            solved example that is asked again is its own best demonstration, and a test says nothing.

    Raises:
        ConfigError: a setting out of range, or settings that do not go together.
    """

    finder: Finder
    k: int = 4
    diverse: Diverse = "no"
    relevance: float = 0.7
    candidates: int = 50
    order: Order = "best-last"
    same: float | None = 0.9

    def __post_init__(self) -> None:
        for name, value, known in (("diverse", self.diverse, Diverse), ("order", self.order, Order)):
            if value not in get_args(known):
                raise ConfigError(f"`{name}` is one of {', '.join(get_args(known))}, not {value!r}")
        if self.k < 0 or self.candidates < 1 or not 0 <= self.relevance <= 1:
            raise ConfigError("k is 0 or more, candidates 1 or more, and `relevance` lies from 0 to 1")
        if self.same is not None and not 0 < self.same <= 1:
            raise ConfigError(f"`same` is a similarity above 0 and at most 1, not {self.same}")
        if self.diverse == "determinantal" and self.relevance == 1:
            raise ConfigError('`diverse = "determinantal"` weighs relevance below 1; at 1 take "no"')
        if isinstance(self.finder, ByChance) and self.diverse not in ("no", "balanced"):
            raise ConfigError(f'`diverse = "{self.diverse}"` compares demonstrations, and chance knows no likeness')
        object.__setattr__(self, "_known", {})

    @property
    def pool(self) -> Pool:
        """What is chosen from."""
        return self.finder.pool

    def choose(self, texts: Sequence[str]) -> list[Chosen]:
        """Return the demonstrations of each question; the finder looks for all together, and each once."""
        known: dict[str, Chosen] = self._known  # type: ignore[attr-defined]
        new = [text for text in dict.fromkeys(texts) if text not in known]
        made = {}
        if new and self.k:
            made = {text: self._one(text, row) for text, row in zip(new, self.finder.scores(new), strict=True)}
        elif new:
            made = dict.fromkeys(new, Chosen((), ()))
        found = [made.get(text) or known[text] for text in texts]
        if len(known) + len(made) > _REMEMBERED:
            known.clear()
        known.update(made)
        return found

    def ordered(self, places: Sequence[int], scores: Sequence[float]) -> list[int]:
        """Return demonstrations in the order in which they are shown."""
        # Of equal ones that which was taken first is the better one.
        best_first = sorted(range(len(places)), key=lambda at: -scores[at])
        return [places[at] for at in (best_first if self.order == "best-first" else reversed(best_first))]

    def _one(self, text: str, scores: NDArray[np.float64]) -> Chosen:
        order = np.argsort(-scores, kind="stable")
        wanted = max(self.k, 1 if self.diverse == "no" else self.candidates)
        near: list[int] = []
        left_out = 0
        # Some at a time: most questions have no copy in the pool, and all need few candidates.
        start = 0
        while start < len(order) and (len(near) < wanted or self.diverse == "balanced"):
            some = [int(place) for place in order[start : start + max(2 * wanted, 64)]]
            start += len(some)
            copies = np.zeros(len(some), bool) if self.same is None else self.pool.same(text, some, self.same)
            left_out += int(copies.sum())
            near += [place for place, copy in zip(some, copies, strict=True) if not copy]
        taken = self._taken(near if self.diverse == "balanced" else near[:wanted], scores)
        return Chosen(tuple(taken), tuple(float(scores[place]) for place in taken), left_out)

    def _taken(self, near: list[int], scores: NDArray[np.float64]) -> list[int]:
        if self.diverse == "no" or len(near) <= 1:
            return near[: self.k]
        if self.diverse == "balanced":
            return in_turn(near, self.pool.outputs, self.k)
        alike = self.finder.alike(near)
        if self.diverse == "facility-location":
            # The candidates' likeness to each other is all that it goes by: they are the nearest already.
            return [near[int(at)] for at in facility_location(_rooted(alike), self.k)[0]]
        # Cosines are as they are; scores without a bound, as BM25's, are shares of the largest.
        worth = scores[near] / max(1.0, float(scores[near].max()))
        pick = marginal if self.diverse == "mmr" else determinantal
        return [near[at] for at in pick(worth, alike, self.k, self.relevance)]


def _rooted(alike: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return vectors whose products are these: (places, places), by the eigenvectors."""
    values, vectors = np.linalg.eigh((alike + alike.T) / 2)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)), np.float32)
