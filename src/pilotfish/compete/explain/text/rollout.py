"""Attention roll-out: how much of each token flows into what is read off the last layer.

Source: Abnar and Zuidema 2020 (Quantifying Attention Flow in Transformers), section 3, equation 1. It tells how
information could flow, not what it does there: it knows no sign, and the class that is said plays no part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.compete.explain.text._said import said_of
from pilotfish.compete.explain.text.attributed import Attributed
from pilotfish.compete.explain.text.network import Network
from pilotfish.compete.explain.text.reads import Reads
from pilotfish.compete.explain.text.words import joined, units

__all__ = ["by_rollout", "rollout"]


def rollout(attentions: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Return how much of each token comes into each: (tokens, tokens), rows of 1.

    Heads count alike, and each layer's residual connection as much as its attention.

    Args:
        attentions: of each layer, the first one first, (heads, tokens, tokens), rows of 1.
    """
    found: NDArray[np.float64] | None = None
    for one in attentions:
        mean = np.asarray(one, np.float64).mean(axis=0)
        mixed = 0.5 * mean + 0.5 * np.eye(len(mean))
        mixed /= mixed.sum(axis=1, keepdims=True)
        found = mixed if found is None else mixed @ found
    assert found is not None, "a network has layers"
    return found


def by_rollout(
    network: Network,
    reads: Reads,
    texts: Sequence[str],
    labels: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Attributed]:
    """Return how much of each word flows into what is said; shares of 1 together with `rest`.

    Args:
        network: of the classifier.
        reads: the classifier.
        texts: to explain.
        labels: what is explained of each; None is what the classifier says.
        progress: called with the texts that are done.
    """
    said, probabilities, values, _ = said_of(reads, texts, labels)
    found = []
    for row, text in enumerate(texts):
        tokens = network.read(text)
        layers, weights = network.attentions(tokens)
        flow = _plain(weights) @ rollout([_plain(one) for one in layers])
        places = units(text)
        shares, rest = joined(tokens.spans, flow, places)
        label = reads.classes_[said[row]]
        told = (float(probabilities[row]), tuple(places), shares, 0.0, rest, float(values[row]))
        found.append(Attributed(text, label, *told, "rollout"))
        if progress:
            progress(1)
    return found


def _plain(tensor: Any) -> NDArray[np.float64]:
    return np.asarray(tensor.detach().double().cpu().numpy())
