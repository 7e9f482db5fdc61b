"""Contrastive decoding: what the strong model says and the weak one does not; with a context and without it.

Every rule that subtracts needs the plausibility mask: a token that neither model finds likely can have any ratio. The
mask is part of the logits here, so greedy, sampling and draft-and-verify all obey it. What it leaves out has no
probability (e^-10000 is 0 in any float) and keeps the expert's order, for where a grammar forbids all that is likely.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["OUT", "context_aware", "contrastive", "contrastive_logits", "masked", "plausible"]

# What a token that is left out loses.
OUT = 1e4


def plausible(logits: Tensor, alpha: float) -> Tensor:
    """Return the adaptive plausibility mask (…, vocabulary), bool: p(x) >= alpha max p. Li et al. 2023, equation (3).

    With alpha 0 every token is plausible.
    """
    least = logits.amax(-1, keepdim=True) + (math.log(alpha) if alpha > 0 else -math.inf)
    return logits >= least


def masked(scores: Tensor, expert: Tensor, alpha: float) -> Tensor:
    """Return the scores where the expert finds the token plausible, elsewhere its own logits far below them."""
    return scores.where(plausible(expert, alpha), expert - OUT)


def contrastive(logits: Sequence[Tensor], alpha: float = 0.1, temperature: float = 1.0) -> Tensor:
    """Return log p_expert - log p_amateur where the expert finds the token plausible; elsewhere nothing.

    Source: Li et al. 2023 (Contrastive Decoding), equations (2) and (3). A constant is left out, since softmax does.

    Args:
        logits: the expert's and the amateur's, raw (…, vocabulary).
        alpha: how much less likely than the likeliest a token may be; 0.1 in the paper.
        temperature: the amateur's; below 1 sharpens it, so that more is taken off what it is sure of (section 3.4).
    """
    expert, amateur = logits
    return masked(expert - amateur / temperature, expert, alpha)


def contrastive_logits(logits: Sequence[Tensor], beta: float = 0.5, alpha: float = 0.1) -> Tensor:
    """Return (1 + beta) expert - beta amateur where the expert finds the token plausible; elsewhere nothing.

    Source: O'Brien and Lewis 2023 (Contrastive Decoding Improves Reasoning in Large Language Models), section 2.2.

    Args:
        logits: the expert's and the amateur's, raw (…, vocabulary).
        beta: how much is taken off; 0 is the expert alone, 0.5 the paper's.
        alpha: how much less likely than the likeliest a token may be; 0.1 in the paper.
    """
    expert, amateur = logits
    return masked((1 + beta) * expert - beta * amateur, expert, alpha)


def context_aware(logits: Sequence[Tensor], alpha: float = 0.5) -> Tensor:
    """Return (1 + alpha) with - alpha without, raw logits (…, vocabulary).

    Source: Shi et al. 2024 (Trusting Your Evidence), section 2, equation (2).

    Args:
        logits: one model's, raw, given the context and not given it.
        alpha: how strongly the context outweighs what the model knew: 0.5 for summaries, 1 where the two disagree.
    """
    informed, uninformed = logits
    return (1 + alpha) * informed - alpha * uninformed
