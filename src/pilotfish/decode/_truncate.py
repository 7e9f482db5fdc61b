"""From one row's logits to the tokens that may be drawn: temperature, top-k, top-p, min-p."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from pilotfish.decode.sampler import Sampling

__all__ = ["kept"]


def kept(logits: torch.Tensor, sampling: Sampling) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Return the ids that may be drawn, rising (None: all), and their log-probabilities, which sum to 1.

    The cuts follow one another, each on what the one before left, renormalised: top-k keeps the k likeliest (all that
    tie with the last of them); top-p the smallest set of likeliest tokens whose probability reaches p, the lower id
    first among equals (Holtzman et al. 2020, section 3.1); min-p those whose probability is at least that share of the
    likeliest one's (Nguyen et al. 2024, equation 2).
    """
    values = torch.log_softmax(logits / sampling.temperature, dim=-1)
    ids: torch.Tensor | None = None
    if 0 < sampling.top_k < len(values):
        least = values.topk(sampling.top_k, sorted=True).values[-1]
        ids, values = _only(ids, values, (values >= least).nonzero()[:, 0])
    if sampling.top_p < 1:
        ids, values = _only(ids, values, _nucleus(values, sampling.top_p))
    if sampling.min_p > 0:
        least = values.max() + math.log(sampling.min_p)
        ids, values = _only(ids, values, (values >= least).nonzero()[:, 0])
    return ids, values


def _only(
    ids: torch.Tensor | None, values: torch.Tensor, chosen: torch.Tensor
) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Return what is left after a cut, renormalised."""
    if len(chosen) == len(values):
        return ids, values
    return (chosen if ids is None else ids[chosen]), torch.log_softmax(values[chosen], dim=-1)


def _nucleus(values: torch.Tensor, p: float) -> torch.Tensor:
    """Return the indices of the nucleus, rising.

    What is less likely than (1 - p) / n sums to less than 1 - p, so the nucleus lies among the others: only those few
    are sorted.
    """
    if p <= 0:
        return values.argmax()[None]
    near = (values >= math.log((1 - p) / len(values))).nonzero()[:, 0]
    ordered, order = values[near].double().exp().sort(descending=True, stable=True)
    # A token is kept while the ones before it have not reached p.
    before = ordered.cumsum(-1) - ordered
    size = max(1, int((before < p).sum()))
    return near[order[:size]].sort().values
