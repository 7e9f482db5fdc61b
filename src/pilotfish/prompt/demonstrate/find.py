"""How near demonstrations are to a question: by words, by an encoder's vectors, or by chance."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.models._weights import identity_of
from pilotfish.prompt.demonstrate.pool import Pool
from pilotfish.rows.bm25 import Words, WordScores
from pilotfish.rows.model_stage import Template
from pilotfish.rows.vectors import unit_vectors

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder

__all__ = ["INPUT", "ByChance", "ByVectors", "ByWords", "Finder"]

INPUT = "{input}"
Floats = NDArray[np.float64]


class Finder(Protocol):
    """Tells how near each demonstration of a pool is to a question.

    Another retriever becomes one by these four.
    """

    @property
    def name(self) -> str:
        """The name that traces show."""

    @property
    def pool(self) -> Pool:
        """What it looks in."""

    def scores(self, texts: Sequence[str]) -> Floats:
        """Return (texts, demonstrations): the larger the nearer, from 0 to 1 or without a bound above."""

    def alike(self, places: Sequence[int]) -> Floats:
        """Return how alike some demonstrations are: (places, places), with ones on the diagonal."""


@dataclass(frozen=True)
class ByWords:
    """BM25 of the question with each demonstration's input (Rubin et al. 2022 call it the sparse baseline).

    Attributes:
        pool: what it looks in.
        words: what counts as a word, and how much.
        name: in traces.
    """

    pool: Pool
    words: Words = field(default_factory=Words)
    name: str = "bm25"

    def __post_init__(self) -> None:
        object.__setattr__(self, "_scored", WordScores(self.pool.inputs, self.words))

    def scores(self, texts: Sequence[str]) -> Floats:
        """See `Finder`; without a bound."""
        held: WordScores = self._scored  # type: ignore[attr-defined]
        return held.scores(texts)

    def alike(self, places: Sequence[int]) -> Floats:
        """See `Finder`; by what their words are worth."""
        held: WordScores = self._scored  # type: ignore[attr-defined]
        found = held.alike(places)
        np.fill_diagonal(found, 1.0)  # of an input without words, too
        return found


@dataclass(frozen=True)
class ByVectors:
    """The cosine of an encoder's vectors of the question and of each demonstration (Liu et al. 2022).

    The demonstrations are read at the first question.

    Attributes:
        pool: what it looks in.
        encoder: of both.
        form: what of a demonstration the encoder reads, with {input}, {output} or both.
        name: in traces.
        identity: of the encoder's weights.

    Raises:
        ConfigError: a form with other places, or none.
    """

    pool: Pool
    encoder: Encoder
    form: str = INPUT
    name: str = "encoder"
    identity: str = field(init=False, default="")

    def __post_init__(self) -> None:
        columns = set(Template(self.form).columns)
        if not columns or not columns <= {"input", "output"}:
            raise ConfigError(
                "what is read of a demonstration has {input}, {output} or both, and nothing else in braces"
            )
        object.__setattr__(self, "identity", identity_of(self.encoder.weights))
        object.__setattr__(self, "_lock", threading.Lock())
        object.__setattr__(self, "_read", None)

    def scores(self, texts: Sequence[str]) -> Floats:
        """See `Finder`; cosines."""
        if not texts:
            return np.zeros((0, len(self.pool)))
        return np.asarray(unit_vectors(self.encoder.encode(list(texts))) @ self._vectors().T, np.float64)

    def alike(self, places: Sequence[int]) -> Floats:
        """See `Finder`; cosines."""
        some = self._vectors()[list(places)]
        return np.asarray(some @ some.T, np.float64)

    def _vectors(self) -> NDArray[np.float32]:
        lock: Any = self._lock  # type: ignore[attr-defined]
        with lock:
            if self._read is None:  # type: ignore[attr-defined]
                form = Template(self.form)
                told = [form.fill({"input": one.input, "output": one.output}) for one in self.pool.demonstrations]
                object.__setattr__(self, "_read", unit_vectors(self.encoder.encode(told)))
        read: NDArray[np.float32] = self._read  # type: ignore[attr-defined]
        return read


@dataclass(frozen=True)
class ByChance:
    """One order drawn by a seed, the same for every question: what choosing is measured against.

    Attributes:
        pool: what it looks in.
        seed: of the order.
        name: in traces.
    """

    pool: Pool
    seed: int = 0
    name: str = "chance"

    def scores(self, texts: Sequence[str]) -> Floats:
        """See `Finder`; from 0 to 1, by the order."""
        order = np.random.default_rng(self.seed).permutation(len(self.pool))
        one = np.empty(len(order))
        one[order] = np.linspace(1, 0, len(order))
        return np.tile(one, (len(texts), 1))

    def alike(self, places: Sequence[int]) -> Floats:
        """Chance knows no likeness.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("demonstrations drawn by chance are not compared: diversity needs words or an encoder")
