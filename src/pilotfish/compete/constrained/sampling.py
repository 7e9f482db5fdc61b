"""The next token: the likeliest one, or one drawn by temperature and nucleus (Holtzman et al. 2020, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ModelError
from pilotfish.model import Request

__all__ = ["pick"]


def pick(
    logits: NDArray[np.float32], told: Sequence[int], request: Request, random: np.random.Generator
) -> tuple[int, float, list[tuple[int, float]]]:
    """Return a token, its log-probability as the model has it, and the likeliest ones that the request asks for.

    Args:
        logits: (vocabulary,).
        told: the answer's tokens so far, which penalties are for.
        request: its temperature, top_p, penalties and top_logprobs.
        random: what draws.

    Raises:
        ModelError: a temperature below 0, or a top_p not in (0, 1].
    """
    temperature = request.temperature or 0.0
    top_p = 1.0 if request.top_p is None else request.top_p
    if temperature < 0 or not 0 < top_p <= 1:
        raise ModelError(f"a temperature is 0 or more and top_p in (0, 1]; got {temperature} and {top_p}")
    wide = logits.astype(np.float64)
    logprobs = wide - wide.max()
    logprobs -= np.log(np.exp(logprobs).sum())
    shaped = wide.copy()
    if request.presence_penalty or request.frequency_penalty:
        ids, counts = np.unique(np.array(told, dtype=np.int64), return_counts=True)
        shaped[ids] -= (request.presence_penalty or 0.0) + (request.frequency_penalty or 0.0) * counts
    token = int(shaped.argmax())
    if temperature > 0:
        shares = np.exp((shaped - shaped.max()) / temperature)
        shares /= shares.sum()
        order = np.argsort(-shares, kind="stable")
        # The smallest set whose shares sum to top_p, the token that crosses it included.
        kept = order[: int(np.searchsorted(np.cumsum(shares[order]), top_p - 1e-12)) + 1]
        token = int(random.choice(kept, p=shares[kept] / shares[kept].sum()))
    asked = request.top_logprobs if request.logprobs else 0
    top = np.argsort(-logprobs, kind="stable")[:asked]
    return token, float(logprobs[token]), [(int(one), float(logprobs[one])) for one in top]
