"""Answers that mean the same, together: whatever the order in which they come.

Source: Kuhn et al. 2023 (Semantic Uncertainty) and Farquhar et al. 2024 (Detecting hallucinations using semantic
entropy): answers share a meaning where each entails the other. Their programmes compare an answer with the first of
each cluster, so that the clusters depend on the order; here any two that mean the same are linked, and a cluster is
what is linked, by way of others too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse.csgraph import connected_components

from pilotfish.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Entails", "clusters", "entailments", "same_words"]

# From (premise, hypothesis) pairs to the probability that the first entails the second.
Entails = Callable[[Sequence[tuple[str, str]]], Sequence[float]]


def entailments(answers: Sequence[str], entails: Entails) -> NDArray[np.float64]:
    """Return how probably answer i entails answer j: (answers, answers), 1 on the diagonal.

    Equal answers entail each other; each pair of different ones is asked about once, all of them in one call.

    Raises:
        DataError: not a probability for each pair.
    """
    distinct = list(dict.fromkeys(answers))
    pairs = [(a, b) for a in distinct for b in distinct if a != b]
    told = [float(one) for one in entails(pairs)] if pairs else []
    if len(told) != len(pairs) or not all(0 <= one <= 1 for one in told):
        raise DataError(f"{len(pairs)} pairs need as many probabilities of entailment, each from 0 to 1")
    known = dict(zip(pairs, told, strict=True))
    return np.array([[known.get((a, b), 1.0) for b in answers] for a in answers], np.float64).reshape(
        len(answers), len(answers)
    )


def clusters(entailed: NDArray[np.float64], *, least: float = 0.5) -> list[int]:
    """Return the number of each answer's cluster; numbers go by the first answer of each.

    Args:
        entailed: as `entailments` gives it.
        least: two answers mean the same where each entails the other with this probability or more.
    """
    linked = np.minimum(entailed, entailed.T) >= least
    _, group = connected_components(linked, directed=False)
    names: dict[int, int] = {}
    return [names.setdefault(int(each), len(names)) for each in group]


def same_words(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Say that one text entails another where both have the same words in the same order, case and signs apart."""
    return [float(_WORD.findall(one.casefold()) == _WORD.findall(other.casefold())) for one, other in pairs]


_WORD = re.compile(r"\w+(?:[.,]\w+)*")
