"""One level of a draft tree: which tokens may follow the nodes that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from pilotfish.decode.speculative.draft import Plan, Proposal, Seat
from pilotfish.decode.speculative.tree import Tree

if TYPE_CHECKING:
    from torch import Tensor

    from pilotfish.decode.speculative.verify import Chooser

__all__ = ["Live", "level"]


@dataclass
class Live:
    """One job's proposal in the making."""

    seat: Seat
    plan: Plan
    logits: Tensor
    proposal: Proposal = field(default_factory=Proposal)
    survival: float = 1.0
    # Log-probability, by the draft, of the way to each node of a tree.
    ways: list[float] = field(default_factory=list)


def level(live: Live, nodes: Sequence[int], depth: int, ends: frozenset[int]) -> list[int]:
    """Give the nodes (-1: the root) children, and return those that may have children of their own."""
    tree, proposal, sampler = live.plan.tree, live.proposal, live.seat.job.sampler
    assert tree is not None
    proposal.parents = [] if proposal.parents is None else proposal.parents
    made = []
    for node in nodes:
        raw = live.logits[node + 1 : node + 2]
        if live.plan.match or tree.nodes:
            ranked = raw[0].log_softmax(-1)
            tokens, ways = _top(ranked, tree.widths[depth] if tree.widths else tree.beam)
        else:
            q = sampler.logprobs(raw, _path(proposal, node))[0]
            tokens = _without_replacement(sampler, q, tree.widths[depth])
            ways = [0.0] * len(tokens)
            proposal.q = [*(proposal.q or ()), *[q] * len(tokens)]
        so_far = live.ways[node] if node >= 0 else 0.0
        for token, way in zip(tokens, ways, strict=True):
            made.append(len(proposal.tokens))
            proposal.tokens.append(token)
            proposal.parents.append(node)
            live.ways.append(so_far + way)
    if tree.nodes:
        return _likeliest(live, tree, made, ends)
    return [node for node in made if proposal.tokens[node] not in ends]


def _likeliest(live: Live, tree: Tree, made: list[int], ends: frozenset[int]) -> list[int]:
    """Drop all but the likeliest nodes of the whole tree, and return the likeliest of the new ones to open next.

    A parent is never less likely than its child and stands before it, so what is kept is a tree.
    """
    order = sorted(range(len(live.ways)), key=lambda node: (-live.ways[node], node))[: tree.nodes]
    kept = sorted(order)
    place = {node: i for i, node in enumerate(kept)} | {-1: -1}
    proposal, parents = live.proposal, live.proposal.parents
    assert parents is not None
    fresh = [node for node in order if node in set(made)]
    proposal.parents = [place[parents[node]] for node in kept]
    proposal.tokens = [proposal.tokens[node] for node in kept]
    live.ways = [live.ways[node] for node in kept]
    return [place[node] for node in fresh if proposal.tokens[place[node]] not in ends][: tree.beam]


def _top(logprobs: Tensor, count: int) -> tuple[list[int], list[float]]:
    """Return the likeliest tokens and their log-probabilities, without those that have none."""
    values, ids = logprobs.topk(min(count, int(torch.isfinite(logprobs).sum())))
    return [int(i) for i in ids.tolist()], [float(v) for v in values.tolist()]


def _path(proposal: Proposal, node: int) -> list[int]:
    """Return the tokens from the root to a node."""
    path: list[int] = []
    while node >= 0:
        path.append(proposal.tokens[node])
        assert proposal.parents is not None
        node = proposal.parents[node]
    return path[::-1]


def _without_replacement(sampler: Chooser, logprobs: Tensor, count: int) -> list[int]:
    """Draw distinct tokens, one after the other, each from what is left; fewer where the support is smaller."""
    left = logprobs.clone()
    tokens: list[int] = []
    for _ in range(min(count, int(torch.isfinite(logprobs).sum()))):
        token = sampler.draw(left)
        tokens.append(token)
        left[token] = float("-inf")
    return tokens
