"""Late interaction as a judge of what another way found: each query token's nearest passage token, summed.

Source: Khattab and Zaharia 2020 (ColBERT), section 3.6: re-ranking the finds of a first retriever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

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
        scores, tokens = np.zeros(len(pairs)), np.zeros(len(pairs), np.int64)
        for place, (query, passage) in enumerate(pairs):
            one, other = np.asarray(queries[query], np.float32), np.asarray(passages[passage], np.float32)
            scores[place] = float((one @ other.T).max(axis=1).sum()) if len(other) else 0.0
            tokens[place] = len(one) + len(other)
        return Relevance(scores, tokens)
