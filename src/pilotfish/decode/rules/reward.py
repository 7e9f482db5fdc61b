"""Reward-guided search, token by token, where the reward is what tuning did to a small model.

Source: Khanov et al. 2024 (ARGS: Alignment as Reward-Guided Search), section 3.2, equation (2): score(v | x) =
LM(v | x) + w r(x, v) over the k likeliest tokens. With the implicit reward r(x) = log π_tuned(x) - log π_ref(x)
(Rafailov et al. 2023, equation (5)) all candidates share the reward of what was said before, so only the candidate's
own part is left, and no text has to be scored. Rewards of other kinds: `decode.reward`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pilotfish.decode.rules.contrast import OUT

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["candidates", "reward_guided"]


def reward_guided(logits: Sequence[Tensor], weight: float = 1.0, k: int = 10) -> Tensor:
    """Return base + weight (log π_tuned - log π_ref) over the k likeliest tokens, raw logits (…, vocabulary).

    The others have no probability as long as one of the k may be said.

    Args:
        logits: the base's, the tuned model's and the reference's, raw (…, vocabulary).
        weight: w, how much the reward counts; 0 is the base's top k.
        k: how many candidates there are.
    """
    base, tuned, reference = logits
    reward = tuned.log_softmax(-1) - reference.log_softmax(-1)
    ids = candidates(base, k)
    return (base - OUT).scatter(-1, ids, base.gather(-1, ids) + weight * reward.gather(-1, ids))


def candidates(logits: Tensor, k: int) -> Tensor:
    """Return the ids (…, k) of the k likeliest tokens, all where there are fewer."""
    return logits.topk(min(k, logits.shape[-1]), dim=-1).indices
