"""DoLa: the last layer's distribution contrasted with that of the earlier layer that differs most from it.

Source: Chuang et al. 2024 (DoLa: Decoding by Contrasting Layers Improves Factuality in Large Language Models), section
2: equations (2) to (5). The authors add a repetition penalty of 1.2 (appendix), which is the sampler's business.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pilotfish.decode.rules.contrast import masked
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["bucket", "divergence", "dola"]


def dola(logits: Sequence[Tensor], alpha: float = 0.1) -> Tensor:
    """Return log p̂: the softmax of log q_N - log q_M over what the last layer N finds plausible; nothing elsewhere.

    M is the candidate with the largest Jensen-Shannon divergence from N, chosen for each position by itself (the first
    of equals). An early layer's logits may be in the hundreds, where float32 knows log-probabilities to 2e-5 only: the
    two layers that count are taken in float64.

    Args:
        logits: the last layer's and each candidate layer's, raw (…, vocabulary).
        alpha: how much less likely than the likeliest a token may be; 0.1 in the paper.
    """
    import torch

    early = torch.stack(list(logits[1:]))
    if len(early) > 1:
        chosen = divergence(logits[0].log_softmax(-1), early.log_softmax(-1)).argmax(0)
        early = early.gather(0, chosen[None, ..., None].expand(1, *logits[0].shape))
    last, other = _exact(logits[0]).log_softmax(-1), _exact(early[0]).log_softmax(-1)
    return masked(last - other, last, alpha).log_softmax(-1).to(logits[0].dtype)


def _exact(logits: Tensor) -> Tensor:
    """Return logits in float64, but for devices that have none (Apple's)."""
    return logits if logits.device.type == "mps" else logits.double()


def divergence(one: Tensor, other: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergence in nats, (…), of log-probabilities (…, vocabulary) that broadcast."""
    import torch

    mean = torch.logaddexp(one, other) - math.log(2)
    left = (one.exp() * (one - mean)).sum(-1)
    return 0.5 * (left + (other.exp() * (other - mean)).sum(-1))


def bucket(layers: int, which: str, tied: bool) -> tuple[int, ...]:
    """Return the candidate layers of a model of so many: every second one of its lower or upper half.

    Numbers are those of `hidden_states`: 0 is the embedding, `layers` the last layer. Models of more than 40 layers
    have the first 20 ("low") or the 20 before the last ("high"), as the authors searched them. Where the head is the
    embedding (`tied`), the lowest layers only repeat the last token, so layers 0 and 1 are no candidates.

    Raises:
        ConfigError: `which` is neither "low" nor "high", or there are too few layers.
    """
    if which not in ("low", "high"):
        raise ConfigError(f'layers are "low", "high" or a list of numbers, not {which!r}')
    half = 20 if layers > 40 else layers // 2
    start, end = (2 if tied else 0, half) if which == "low" else (layers - half if layers > 40 else half, layers)
    found = tuple(range(start, end, 2))
    if not found:
        raise ConfigError(f"a model of {layers} layers has no {which!r} candidates: name some, such as layers = [1]")
    return found
