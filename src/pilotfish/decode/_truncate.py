"""From one row's logits to the tokens that may be drawn: temperature, top-k, top-p, min-p."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from pilotfish.decode.sampler import Sampling

__all__ = ["kept"]

# How many tokens are sorted without further ado, and how finely others are divided by value.
FEW, BINS = 4096, 1024


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

    What is less likely than (1 - p) / n sums to less than 1 - p, so the nucleus lies among the others. Where even those
    are many (a flat distribution), a histogram finds the narrow range of values in which p is reached, and only that
    is sorted: a sort of a whole vocabulary takes longer than a small model's step.
    """
    if p <= 0:
        return values.argmax()[None]
    near = values[values >= math.log((1 - p) / len(values))]
    mass = near.double().exp()
    # A softmax of float32 sums to 1 give or take some millionths, which in a flat tail are a hundred tokens.
    p *= float(values.exp().sum(dtype=torch.float64))
    reached, size = 0.0, 0  # what is in the nucleus for certain: its probability, its tokens
    low, high = near.min(), near.max()
    if len(near) > FEW and low < high:
        place = ((high - near) * (BINS / (high - low))).long().clamp_(max=BINS - 1)
        upto = torch.bincount(place, weights=mass, minlength=BINS).cumsum(-1)
        at = min(int((upto < p).sum()), BINS - 1)
        reached = float(upto[at - 1]) if at else 0.0
        size = int((place < at).sum())
        inside = place == at
        near, mass = near[inside], mass[inside]
    ordered, order = mass.sort(descending=True)
    # A token is kept while the ones before it have not reached p.
    last = max(1, int((reached + ordered.cumsum(-1) - ordered < p).sum()))
    least = near[order[last - 1]]
    chosen = (values >= least).nonzero()[:, 0]
    if len(chosen) > size + last:  # of those that are as likely as the last one, the lower ids
        equals = (values[chosen] == least).nonzero()[:, 0]
        keep = torch.ones(len(chosen), dtype=torch.bool, device=chosen.device)
        keep[equals[size + last - len(chosen) :]] = False
        chosen = chosen[keep]
    return chosen
