"""Proxy-tuning: a large model steered by what a small one learned, as a difference of logits.

Source: Liu et al. 2024 (Tuning Language Models by Proxy), section 2, equation (1): softmax(base + expert - anti).
The same difference with a factor, and with the two scales swapped, is emulated fine-tuning: Mitchell et al. 2024 (An
Emulator for Fine-tuning Large Language Models using Small Language Models), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["proxy_tuning"]


def proxy_tuning(logits: Sequence[Tensor], alphas: Sequence[float] = (1.0,)) -> Tensor:
    """Return base + Σᵢ alphaᵢ (expertᵢ - anti-expertᵢ), raw logits (…, vocabulary).

    Args:
        logits: the base's, then each expert's and its anti-expert's in turn.
        alphas: how strongly each pair steers; 0 leaves it out, 1 is the paper's.
    """
    base, *pairs = logits
    for alpha, expert, anti_expert in zip(alphas, pairs[::2], pairs[1::2], strict=True):
        base = base + alpha * (expert - anti_expert)
    return base
