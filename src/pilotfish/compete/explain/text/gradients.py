"""Integrated gradients: what each token adds, from a text of blanks to the text itself, and they add up.

Source: Sundararajan et al. 2017 (Axiomatic Attribution for Deep Networks), equation 1, by Gauss-Legendre quadrature;
completeness: proposition 1. On the way words' vectors are mixed with blanks', so networks are asked of what is no text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.compete.explain.text._said import said_of
from pilotfish.compete.explain.text.attributed import Attributed
from pilotfish.compete.explain.text.network import Network, agrees
from pilotfish.compete.explain.text.reads import Reads, contrast
from pilotfish.compete.explain.text.words import joined, units
from pilotfish.errors import ModelError

__all__ = ["by_gradients", "integrated_gradients"]

_STEPS, _MOST, _ROWS = 16, 256, 16
_EXACT = 0.01  # of the gap between text and blanks, or of a log-odds of 1: steps are doubled until that is met


def integrated_gradients(
    value: Callable[[Any], Any],
    start: Any,
    end: Any,
    *,
    steps: int = _STEPS,
    most: int = _MOST,
    tolerance: float = _EXACT,
) -> tuple[NDArray[np.float64], float, float]:
    """Return what each row of the way from `start` to `end` adds, (tokens,), and the values at both.

    Args:
        value: (points, tokens, width) to (points,), differentiable.
        start: (tokens, width).
        end: likewise.
        steps: points on the way, doubled until what is added up is the gap.
        most: points at most.
        tolerance: what may be missing, as a share of the gap, or of 1 where that is more.
    """
    torch = need("torch", "local")
    with torch.no_grad():
        low, high = (float(one) for one in value(torch.stack([start, end])))
    way = end - start
    while True:
        places, weights = np.polynomial.legendre.leggauss(steps)
        total = torch.zeros_like(way)
        for at in range(0, steps, _ROWS):
            shares = torch.tensor((places[at : at + _ROWS] + 1) / 2, dtype=way.dtype, device=way.device)
            counts = torch.tensor(weights[at : at + _ROWS] / 2, dtype=way.dtype, device=way.device)
            with torch.enable_grad():
                points = (start + shares[:, None, None] * way).requires_grad_(True)
                (slopes,) = torch.autograd.grad(value(points).sum(), points)
            total += (slopes * counts[:, None, None]).sum(dim=0)
        found = (total * way).sum(dim=1).double().cpu().numpy()
        if abs(found.sum() - (high - low)) <= tolerance * max(1.0, abs(high - low)) or steps >= most:
            return found, low, high
        steps *= 2


def by_gradients(
    network: Network,
    reads: Reads,
    texts: Sequence[str],
    labels: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Attributed]:
    """Return what words add, beside a text whose words are blank.

    Args:
        network: of the classifier.
        reads: the classifier.
        texts: to explain.
        labels: what is explained of each; None is what the classifier says.
        progress: called with the texts that are done.

    Raises:
        ModelError: the network does not compute what the classifier says.
    """
    torch = need("torch", "local")
    said, probabilities, values, logs = said_of(reads, texts, labels)
    found = []
    for row, text in enumerate(texts):
        tokens = network.read(text)
        by = contrast(logs.shape[1], said[row])
        end = network.embed(tokens.ids)
        blanks = [network.blank if own else one for one, own in zip(tokens.ids, tokens.own, strict=True)]
        with torch.no_grad():
            here = network.logits(end[None], tokens)[0].double().cpu().numpy()
        if not agrees(network, reads, here, logs[row]):
            raise ModelError("the network goes another way than its classifier; explain it by occlusion")
        weigh = torch.tensor(by, dtype=end.dtype, device=end.device)

        def value(points: Any, tokens: Any = tokens, weigh: Any = weigh) -> Any:
            return network.logits(points, tokens) @ weigh

        adds, base, whole = integrated_gradients(value, network.embed(blanks), end)
        places = units(text)
        shares, rest = joined(tokens.spans, adds, places)
        residual = abs(base + float(shares.sum()) + rest - whole)
        label = reads.classes_[said[row]]
        told = (float(probabilities[row]), tuple(places), shares, base, rest, float(values[row]))
        found.append(Attributed(text, label, *told, "gradients", residual))
        if progress:
            progress(1)
    return found
