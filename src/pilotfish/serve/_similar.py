"""The stored requests of one context, by the vector of what was asked last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Encodes", "Similar", "unit"]

Vector = NDArray[np.float32]


class Encodes(Protocol):
    """What turns texts into vectors, as `pilotfish.models.encoder.Encoder` does."""

    def encode(self, texts: list[str]) -> Vector:
        """Return the vectors: (texts, dimension)."""


def unit(vector: Vector) -> Vector:
    """Return the vector at length 1, so that a dot product is a cosine; one of zeros stays so."""
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length if length else vector, dtype=np.float32)


class Similar:
    """Keys by vector. Search looks at every one: 10,000 vectors of 384 numbers take about a millisecond."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._at: dict[str, int] = {}
        self._rows: Vector = np.empty((0, 0), dtype=np.float32)

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: str, vector: Vector) -> None:
        """Keep a key under its vector, in place of an older one."""
        if key in self._at:
            self._rows[self._at[key]] = vector
            return
        if len(self._keys) == len(self._rows):
            self._resize(max(1, 2 * len(self._rows)), len(vector))
        self._at[key] = len(self._keys)
        self._rows[len(self._keys)] = vector
        self._keys.append(key)

    def remove(self, key: str) -> None:
        """Forget a key; the last one takes its place."""
        at, last = self._at.pop(key), self._keys.pop()
        if last != key:
            self._keys[at], self._at[last] = last, at
            self._rows[at] = self._rows[len(self._keys)]
        if 4 * len(self._keys) < len(self._rows):
            self._resize(2 * len(self._keys), self._rows.shape[1])

    @property
    def nbytes(self) -> int:
        """The bytes that the vectors take."""
        return self._rows.nbytes

    def near(self, vector: Vector, threshold: float, fits: Callable[[str], bool]) -> tuple[str, float] | None:
        """Return the nearest key that fits, and its cosine; None where none reaches the threshold."""
        if not self._keys:
            return None
        cosines = self._rows[: len(self._keys)] @ vector
        (above,) = np.nonzero(cosines >= threshold)
        for at in above[np.argsort(-cosines[above], kind="stable")]:
            if fits(self._keys[at]):
                return self._keys[at], float(cosines[at])
        return None

    def _resize(self, rows: int, width: int) -> None:
        resized = np.empty((rows, width), dtype=np.float32)
        count = min(rows, len(self._keys))
        resized[:count] = self._rows.reshape(len(self._rows), width)[:count]
        self._rows = resized
