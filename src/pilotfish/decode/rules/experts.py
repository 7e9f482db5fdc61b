"""Product and mixture of experts: several models averaged, by the logarithm or by the probability.

Sources: Hinton 2002 (product of experts); Ormazabal et al. 2023 (CombLM), section 3: a mixture whose weight is a number
("constant") or depends on each model's entropy ("entropy"), fitted on a few validation tokens (see `decode.fit`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Kind", "combined", "entropies", "gate_features", "gated_mixture", "mixture", "product"]

Kind = Literal["product", "mixture", "gated"]


def combined(kind: Kind, weights: Sequence[float]) -> Callable[[Sequence[Tensor]], Tensor]:
    """Return the rule of a kind with these weights; a gate's rows one after the other.

    Raises:
        ConfigError: unknown kind; a mixture's weights are negative or all 0; a gate is not (models, models + 1).
    """
    if kind == "product":
        return partial(product, weights=tuple(weights))
    if kind == "mixture":
        total = sum(weights)
        if min(weights) < 0 or total <= 0:
            raise ConfigError(f"a mixture's weights must not be negative, and one must be above 0: {list(weights)}")
        return partial(mixture, weights=tuple(weight / total for weight in weights))
    if kind == "gated":
        models = next((n for n in range(1, len(weights)) if n * (n + 1) == len(weights)), 0)
        if not models:
            raise ConfigError(f"a gate has models x (models + 1) numbers, not {len(weights)}")
        gate = [tuple(weights[at : at + models + 1]) for at in range(0, len(weights), models + 1)]
        return partial(gated_mixture, gate=gate)
    raise ConfigError(f'experts are combined as "product", "mixture" or "gated", not {kind!r}')


def product(logits: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Return Σᵢ wᵢ log pᵢ, raw logits (…, vocabulary): p ∝ Πᵢ pᵢ^wᵢ. Weights may be of any sign and sum."""
    out = weights[0] * logits[0]
    for weight, more in zip(weights[1:], logits[1:], strict=True):
        out = out + weight * more
    return out


def mixture(logits: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Return log Σᵢ wᵢ pᵢ, (…, vocabulary): log-probabilities where the weights sum to 1. No weight is negative."""
    import torch

    parts = [
        more.log_softmax(-1) + math.log(weight) for weight, more in zip(weights, logits, strict=True) if weight > 0
    ]
    return torch.logsumexp(torch.stack(parts), 0)


def gated_mixture(logits: Sequence[Tensor], gate: Sequence[Sequence[float]]) -> Tensor:
    """Return log Σᵢ wᵢ pᵢ, (…, vocabulary), where w = softmax(gate · features) is another one at every position.

    Args:
        logits: raw logits (…, vocabulary), one a model.
        gate: (models, models + 1): for each model the factors of every model's entropy, in nats, and a constant.
    """
    import torch

    logps = torch.stack([more.log_softmax(-1) for more in logits])
    features = gate_features(logps)
    weights = (features @ torch.tensor(gate, dtype=features.dtype, device=features.device).T).log_softmax(-1)
    return torch.logsumexp(logps + weights.movedim(-1, 0).unsqueeze(-1), 0)


def gate_features(logps: Tensor) -> Tensor:
    """Return what the gate looks at, (…, models + 1), from log-probabilities (models, …, vocabulary)."""
    import torch

    found = entropies(logps).movedim(0, -1)
    return torch.cat([found, torch.ones_like(found[..., :1])], -1)


def entropies(logps: Tensor) -> Tensor:
    """Return -Σ p log p in nats, (…), from log-probabilities (…, vocabulary); -inf counts as p = 0."""
    import torch

    return -(logps.exp() * logps.clamp_min(torch.finfo(logps.dtype).min)).sum(-1)
