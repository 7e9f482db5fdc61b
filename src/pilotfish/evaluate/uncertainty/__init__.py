"""How unsure a model is of what it says."""

from __future__ import annotations

from pilotfish.evaluate.uncertainty.clusters import clusters, entailments, same_words
from pilotfish.evaluate.uncertainty.entropy import (
    discrete_semantic_entropy,
    lexical_similarity,
    sampled_entropy,
    semantic_entropy,
    token_entropy,
)
from pilotfish.evaluate.uncertainty.graph import degree, eigenvalues, kernel_entropy
from pilotfish.evaluate.uncertainty.worth import auroc, prr, rejection

__all__ = [
    "auroc",
    "clusters",
    "degree",
    "discrete_semantic_entropy",
    "eigenvalues",
    "entailments",
    "kernel_entropy",
    "lexical_similarity",
    "prr",
    "rejection",
    "same_words",
    "sampled_entropy",
    "semantic_entropy",
    "token_entropy",
]
