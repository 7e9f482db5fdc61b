"""MoverScore: how far a text's words have to be moved to become its reference's.

Source: Zhao et al. 2019 (MoverScore), sections 3.1 and 3.2: the earth mover's distance between n-grams, each the
weighted mean of its tokens' states and as heavy as its tokens together, by Euclidean distance; here 1 minus it, so that
higher is better. Vectors of n-grams are of length 1. Exact, by the network simplex of POT.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ConfigError
from pilotfish.evaluate.bertscore.weighed import Weighed, oddities, parts_of
from pilotfish.evaluate.references import paired
from pilotfish.evaluate.scores import Scores
from pilotfish.evaluate.states import TokenStates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.evaluate.bertscore.weights import Idf
    from pilotfish.models.encoder import Encoder
    from pilotfish.models.local import LocalModel

__all__ = ["MoverScore"]


class MoverScore:
    """Scores candidates by their references.

    Args:
        model: an encoder or a local language model.
        layer: which layer's states; None for the last.
        n: tokens that are moved together: 1 or 2 in the paper.
        idf: how heavy each token is: see `Idf.over`; None for all alike.
        long: see `TokenStates`.

    Raises:
        ConfigError: n below 1.
    """

    def __init__(
        self,
        model: Encoder | LocalModel,
        layer: int | None = None,
        *,
        n: int = 1,
        idf: Idf | None = None,
        long: str = "windows",
    ) -> None:
        if n < 1:
            raise ConfigError(f"n is 1 or more, not {n}")
        self.states, self.n, self.idf = TokenStates(model, layer, long=long), n, idf

    @property
    def name(self) -> str:
        """With all that changes the numbers."""
        further = [*([f"{self.n}-grams"] if self.n > 1 else []), *(["idf"] if self.idf else [])]
        return f"moverscore ({', '.join([self.states.name, *further])})"

    def __call__(
        self,
        candidates: Sequence[str],
        references: Sequence[str | Sequence[str]],
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Scores:
        """Return 1 - distance; of several references the nearest counts. An empty text is as far as texts can be.

        Raises:
            DataError: another number of references than of candidates, or a row without any.
            MissingExtra: POT is not installed.
        """
        rows = paired(candidates, references)
        values = np.zeros(len(rows))
        notes: list[str] = []
        for number, mine, theirs, held in parts_of(rows, self.states, self.idf, progress):
            own = self._grams(held[mine])
            values[number] = 1 - min(_distance(own, self._grams(held[one])) for one in theirs)
            notes.append(oddities(held[mine], [held[one] for one in theirs]))
        return Scores(self.name, values, {}, notes)

    def _grams(self, text: Weighed) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (grams, width) vectors of length 1 and (grams,) weights that sum to 1."""
        own = np.flatnonzero(~text.states.special)
        vectors = text.states.vectors.double().numpy()[own]
        weights = text.weights[own]
        if len(own) > self.n > 1:
            places = np.arange(len(own) - self.n + 1)[:, None] + np.arange(self.n)
            heavy = weights[places]
            # Where no token of a gram weighs anything, neither does the gram; its vector is the plain mean.
            parts = np.where(heavy.sum(1, keepdims=True) > 0, heavy, 1.0)
            vectors = np.einsum("gn,gnd->gd", parts / parts.sum(1, keepdims=True), vectors[places])
            weights = heavy.sum(1)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(lengths, 1e-12), weights / max(weights.sum(), 1e-300)


def _distance(
    mine: tuple[NDArray[np.float64], NDArray[np.float64]], theirs: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> float:
    if not len(mine[1]) or not len(theirs[1]):
        return 0.0 if len(mine[1]) == len(theirs[1]) else 2.0
    ot = need("ot", "evaluate")
    near = np.clip(mine[0] @ theirs[0].T, -1, 1)
    return float(ot.emd2(mine[1], theirs[1], np.sqrt(2 - 2 * near), numItermax=1_000_000))
