"""What was found, in a better order: by models that read the query and a passage together."""

from __future__ import annotations

from pilotfish.retrieve.rerank.asked import Asked
from pilotfish.retrieve.rerank.cross import Cross
from pilotfish.retrieve.rerank.reranked import Reads, Relevance, Reranked
from pilotfish.retrieve.rerank.taught import Judgement, Learnt, TaughtReranker
from pilotfish.retrieve.rerank.tokens import ByTokens

__all__ = ["Asked", "ByTokens", "Cross", "Judgement", "Learnt", "Reads", "Relevance", "Reranked", "TaughtReranker"]
