"""Nudging, token by token: a small aligned model speaks where the large base model is unsure.

Source: Fei et al. 2025 (Nudging: Inference-time Alignment of LLMs via Guided Decoding), section 3. This form needs one
vocabulary; `decode.nudging` has the paper's own, which hands over whole words and takes any two models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["nudging", "unsure"]


def nudging(logits: Sequence[Tensor], gamma: float = 0.4) -> Tensor:
    """Return the base's raw logits where its likeliest token has p >= gamma, else the nudging model's.

    Args:
        logits: the base's and the nudging model's, raw (…, vocabulary).
        gamma: the top-1 probability below which the base is unsure; 0 never nudges, above 1 always does.
    """
    base, nudge = logits
    return nudge.where(unsure(base, gamma).unsqueeze(-1), base)


def unsure(logits: Tensor, gamma: float) -> Tensor:
    """Return whether the top-1 probability is below gamma, (…) bool, of raw logits (…, vocabulary)."""
    return (logits.amax(-1) - logits.logsumexp(-1)).exp() < gamma
