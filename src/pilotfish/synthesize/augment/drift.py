"""How far a child has drifted from its parent: a copy teaches nothing, a stranger may mean something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.rows._grams import hashed
from pilotfish.rows._shingles import normalised

__all__ = ["Drift", "Drifted", "jaccards"]

Encode = Callable[[Sequence[str]], NDArray[Any]]


@dataclass(frozen=True)
class Drift:
    """The bounds that a child has to keep.

    Attributes:
        least: of the Jaccard similarity of child and parent; below it the child is a stranger.
        most: of it; above it the child is a copy. A child with the very text of its parent always is.
        ngram, unit: what is compared: n-grams of "char" or "word", without case and punctuation.
        encode: texts -> vectors, (texts, dimension), of length one; None does without.
        cosine: the least cosine of both vectors, where there are any.
    """

    least: float = 0.05
    most: float = 0.95
    ngram: int = 3
    unit: str = "char"
    encode: Encode | None = None
    cosine: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.least < self.most <= 1 or not -1 <= self.cosine < 1 or self.ngram < 1:
            raise ConfigError(
                f"drift goes from a least similarity of 0 or more to a greater one, 1 at most, not {self.least} to "
                f"{self.most}; its cosine is below 1, its n-grams have one part or more"
            )

    def config(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        told = dict(vars(self), encode=None)
        if self.encode is None:
            told.pop("cosine")
        told.pop("encode")
        return told

    def given(self, **settings: Any) -> Drift:
        """Return these bounds with some of them set otherwise; None leaves one as it is."""
        return replace(self, **{name: value for name, value in settings.items() if value is not None})


class Drifted:
    """Measures children, and counts."""

    def __init__(self, bounds: Drift) -> None:
        self.bounds = bounds
        self.copies = self.strangers = 0
        self._jaccard: list[float] = []
        self._cosine: list[float] = []

    def reasons(self, parents: Sequence[str], children: Sequence[str]) -> list[str | None]:
        """Return for each child why it goes, or None; in words that begin with "a copy" or "a stranger"."""
        bounds = self.bounds
        near = jaccards(parents, children, bounds.ngram, bounds.unit)
        turned: list[float] = []
        if bounds.encode is not None and children:
            left, right = np.asarray(bounds.encode(list(parents))), np.asarray(bounds.encode(list(children)))
            turned = (left * right).sum(axis=1).astype(float).tolist()
        found: list[str | None] = []
        for i, (parent, child) in enumerate(zip(parents, children, strict=True)):
            copied = "the very text of its parent" if parent == child else ""
            if near[i] > bounds.most:
                copied = copied or f"{near[i]:.2f} like its parent"
            strange = f"{near[i]:.2f} like its parent" if near[i] < bounds.least else ""
            if turned and turned[i] < bounds.cosine:
                strange = strange or f"its vector's cosine with its parent's is {turned[i]:.2f}"
            if copied or strange:
                self.copies += bool(copied)
                self.strangers += not copied
                found.append(f"a copy: {copied}" if copied else f"a stranger: {strange}")
                continue
            found.append(None)
            self._jaccard.append(near[i])
            self._cosine += turned[i : i + 1]
        return found

    def told(self) -> dict[str, Any]:
        """Return the similarity to the parents of children within the bounds, and how many were not."""
        told: dict[str, Any] = {"rows": len(self._jaccard), "copies": self.copies, "strangers": self.strangers}
        for name, values in (("jaccard", self._jaccard), ("cosine", self._cosine)):
            if values:
                low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
                told[name] = {"mean": float(np.mean(values)), "p10": float(low), "p50": float(middle)}
                told[name] = {key: round(value, 4) for key, value in (told[name] | {"p90": float(high)}).items()}
        return told


def jaccards(left: Sequence[str], right: Sequence[str], ngram: int = 3, unit: str = "char") -> list[float]:
    """Return the Jaccard similarity of the n-grams of each pair of texts, from 0 to 1."""
    grams, counts = hashed([normalised(text) for text in (*left, *right)], ngram, unit)
    sets = [set(part.tolist()) for part in np.split(grams, np.cumsum(counts)[:-1])] if len(counts) else []
    pairs = zip(sets[: len(left)], sets[len(left) :], strict=True)
    return [len(a & b) / len(a | b) if a or b else 1.0 for a, b in pairs]
