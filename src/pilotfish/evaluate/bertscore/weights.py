"""How much each token counts: alike, or by how rare it is among the references.

Source: Zhang et al. 2020 (BERTScore), section 3, importance weighting: idf(w) = -log (1/M) sum I[w in x], with plus-one
smoothing, over the references.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.evaluate.states import States, TokenStates

__all__ = ["Idf", "weights_of"]


@dataclass(frozen=True)
class Idf:
    """Weights by inverse document frequency.

    Attributes:
        documents: texts that were counted.
        frequency: token id -> texts that have it.
    """

    documents: int
    frequency: dict[int, int]

    @classmethod
    def over(cls, texts: Sequence[str], states: TokenStates) -> Idf:
        """Count the tokens of texts, each text once for each time that it is given.

        Raises:
            DataError: there are none.
        """
        if not texts:
            raise DataError("idf needs references to count tokens of")
        counts: Counter[int] = Counter()
        for text, times in Counter(texts).items():
            for token in set(states.ids(text)):
                counts[token] += times
        return cls(len(texts), dict(counts))

    def of(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the weight of each token, in nats: log (M + 1) / (texts that have it + 1)."""
        return np.array([math.log((self.documents + 1) / (self.frequency.get(int(one), 0) + 1)) for one in ids])


def weights_of(states: States, idf: Idf | None) -> tuple[NDArray[np.float64], bool]:
    """Return how much each token counts, summing to 1, and whether idf told nothing of this text.

    What the tokenizer added counts nothing. Where all tokens of a text are in all references, as with a single one,
    their weights would be 0 / 0: they count alike then.
    """
    weights = (~states.special).astype(np.float64)
    none = False
    if idf is not None:
        rare = weights * idf.of(states.ids)
        none = not rare.sum() > 0 and not states.empty
        weights = weights if none else rare
    return weights / max(weights.sum(), 1e-300), none
