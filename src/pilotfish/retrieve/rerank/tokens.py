"""Late interaction as a judge of what another way found: each query token's nearest passage token, summed.

Source: Khattab and Zaharia 2020 (ColBERT), section 3.6: re-ranking the finds of a first retriever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pilotfish.retrieve.late.maxsim import maxsim
from pilotfish.retrieve.rerank.reranked import Relevance

__all__ = ["ByTokens", "TokenVectors"]


class TokenVectors(Protocol):
    """What makes a vector of each token: a `LateEncoder`."""

    @property
    def name(self) -> str:
        """The name in reports."""

    def queries(self, texts: Sequence[str]) -> Sequence[NDArray[Any]]:
        """Return one (tokens, dimension) a query, each row of length 1."""

    def documents(self, texts: Sequence[str]) -> Sequence[NDArray[Any]]:
        """Return one (tokens, dimension) a document, each row of length 1."""


class ByTokens:
    """A late-interaction encoder as a reader; each text is encoded once.

    Args:
        encoder: makes the vectors.
    """

    def __init__(self, encoder: TokenVectors) -> None:
        self.encoder = encoder

    @property
    def name(self) -> str:
        """The encoder's."""
        return self.encoder.name

    def read(self, pairs: Sequence[tuple[str, str]]) -> Relevance:
        """See `Reads`."""
        asked = list(dict.fromkeys(query for query, _ in pairs))
        held = list(dict.fromkeys(passage for _, passage in pairs))
        queries = dict(zip(asked, self.encoder.queries(asked), strict=True))
        passages = dict(zip(held, self.encoder.documents(held), strict=True))
        scores = np.zeros(len(pairs))
        for query, vectors in queries.items():
            mine = [place for place, (one, _) in enumerate(pairs) if one == query]
            told = maxsim(np.asarray(vectors), [np.asarray(passages[pairs[place][1]]) for place in mine])
            scores[mine] = np.where(np.isfinite(told), told, 0.0)  # a passage without tokens matches nothing
        tokens = np.array([len(queries[query]) + len(passages[passage]) for query, passage in pairs], np.int64)
        return Relevance(scores, tokens)
