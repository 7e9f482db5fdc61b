"""The loss of direct preference optimisation, from the log-probabilities of whole answers.

Source: Rafailov et al. 2023, equation 7; with label smoothing, Mitchell 2023 (conservative DPO), equation 3.
"""

from __future__ import annotations

import math
from typing import Any

from pilotfish._extras import need
from pilotfish.errors import ConfigError

__all__ = ["dpo_loss"]


def dpo_loss(
    policy_chosen: Any,
    policy_rejected: Any,
    reference_chosen: Any,
    reference_rejected: Any,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> tuple[Any, Any]:
    """Return the loss of each pair, in nats, and the share of pairs whose chosen answer the policy prefers.

    The margin is h = log pi(chosen)/ref(chosen) - log pi(rejected)/ref(rejected); the loss is
    -(1 - e) log sigmoid(beta h) - e log sigmoid(-beta h) for label smoothing e. Equal models give log 2.

    Args:
        policy_chosen: (pairs,) log-probabilities of the chosen answers under the student, summed over their tokens.
        policy_rejected: (pairs,) of the rejected ones.
        reference_chosen: (pairs,) of the chosen ones under the model it started from, to which no gradient flows.
        reference_rejected: (pairs,) of the rejected ones.
        beta: how much a nat of margin counts; small values stay less close to the reference.
        label_smoothing: the share of pairs thought to be the wrong way round, below 0.5.

    Returns:
        The loss (pairs,), with gradients to the policy's, and the accuracy, a number without: a tie counts half.

    Raises:
        ConfigError: beta is not above 0, or the smoothing not a share below 0.5.
    """
    torch = need("torch", "train")
    if not (beta > 0 and math.isfinite(beta)) or not 0 <= label_smoothing < 0.5:
        raise ConfigError(f"beta must be above 0 and label_smoothing in [0, 0.5), not {beta} and {label_smoothing}")
    chosen = policy_chosen - reference_chosen.detach()
    rejected = policy_rejected - reference_rejected.detach()
    margin = chosen - rejected
    log_sigmoid = torch.nn.functional.logsigmoid
    loss = -(1 - label_smoothing) * log_sigmoid(beta * margin)
    if label_smoothing:
        loss = loss - label_smoothing * log_sigmoid(-beta * margin)
    right = margin.detach()
    return loss, ((right > 0).double() + 0.5 * (right == 0).double()).mean()
