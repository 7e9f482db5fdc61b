"""The rule that makes drafting exact: what is said has the target's own distribution, whatever the draft proposed.

Two rules, both exact.

`matched`: the target draws its own next token, and a proposed node with that token is accepted. The proposal plays no
part in the draw, so this is plain decoding with the forward passes done ahead: greedy answers are plain's, and so are
sampled answers with the same seed. It holds for any proposal that does not look at the row's generator. A drawn token
is accepted with p(token), which is the rejection rule with q a point mass at the proposal, all of it included: the
residual is p without the token, renormalised.

`rejected`: Leviathan et al. 2023, algorithm 1 (Chen et al. 2023, theorem 1): a token drawn from q is accepted with
probability min(1, p / q); after a rejection the next token comes from norm(max(0, p - q)). With several siblings drawn
from q without replacement each rejection makes the residual the new p, and q without the rejected token, renormalised,
the new q (Jeon et al. 2024, recursive rejection sampling, theorem 3.1). It accepts sum(min(p, q)) of the tokens, more
than the first rule where the two distributions are alike and broad.

How far to draft may depend on what was drafted, but on nothing at or after the token it decides on: at every position
that is reached, a node is either there (and is judged) or not (and the target's own draw stands), and in both cases the
token has the distribution p.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch

from pilotfish.decode.speculative.draft import Proposal

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Chooser", "Verified", "verify"]


class Chooser(Protocol):
    """What verifying needs of a row's `Sampler`."""

    def choose(self, logits: Tensor, ahead: Sequence[int] = ()) -> list[int]:
        """Return one token a row of logits."""

    def logprobs(self, logits: Tensor, ahead: Sequence[int] = ()) -> Tensor:
        """Return the processed log-probabilities."""

    def draw(self, logprobs: Tensor) -> int:
        """Return a token."""

    def uniform(self) -> float:
        """Return a number from [0, 1)."""


@dataclass
class Verified:
    """What the target makes of a proposal.

    Attributes:
        tokens: what the answer goes on with, at least one; all but the last are accepted nodes, and the last may be.
        path: the accepted nodes, in order.
        rows: the row of the target's logits that each token was chosen from.
        overlaps: sum(min(p, q)) at each position that the rejection rule judged.
    """

    tokens: list[int] = field(default_factory=list)
    path: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)


def verify(
    sampler: Chooser,
    logits: Tensor,
    proposal: Proposal,
    ends: frozenset[int] = frozenset(),
    picks: Sequence[int] | None = None,
) -> Verified:
    """Walk down from the root as far as the target agrees; the first token it does not find among the nodes ends it.

    Args:
        sampler: the row's own.
        logits: the target's (1 + nodes, vocabulary): after the answer's last token, and after each node.
        proposal: the nodes.
        ends: tokens after which nothing is said.
        picks: the target's choice at each row of the logits, where it does not depend on the way there.
    """
    verdict, here = Verified(), -1
    children = proposal.children()
    while True:
        kids, row = children[here + 1], logits[here + 1 : here + 2]
        if proposal.q is not None and kids:
            p, q = sampler.logprobs(row, verdict.tokens)[0], proposal.q[kids[0]]
            verdict.overlaps.append(float(torch.minimum(p, q).exp().sum()))
            token, node = _rejected(sampler, p, q, [proposal.tokens[kid] for kid in kids], kids)
        else:
            token = sampler.choose(row, verdict.tokens)[0] if picks is None else picks[here + 1]
            node = next((kid for kid in kids if proposal.tokens[kid] == token), None)
        verdict.tokens.append(token)
        verdict.rows.append(here + 1)
        if node is None:
            return verdict
        verdict.path.append(node)
        if token in ends:
            return verdict
        here = node


def _rejected(
    sampler: Chooser, logp: Tensor, logq: Tensor, tokens: Sequence[int], nodes: Sequence[int]
) -> tuple[int, int | None]:
    """Return the token, and the node that has it where one was accepted. logp, logq: (vocabulary,)."""
    # The first token is accepted most of the time, and that takes two numbers rather than two vocabularies.
    ratio = float((logp[tokens[0]] - logq[tokens[0]]).double().exp())
    p = q = None
    for token, node in zip(tokens, nodes, strict=True):
        if p is not None and q is not None:
            ratio = float(p[token] / q[token])
        if sampler.uniform() < ratio:
            return token, node
        if p is None or q is None:
            p, q = logp.double().exp(), logq.double().exp()
        p = residual(p, q)
        q[token] = 0.0
        left = q.sum()
        if left <= 0:
            break
        q /= left
    assert p is not None
    return sampler.draw(p.log()), None


def residual(p: Tensor, q: Tensor) -> Tensor:
    """Return norm(max(0, p - q)), all (vocabulary,); p where nothing is left, which only rounding can bring about."""
    left = (p - q).clamp(min=0.0)
    total = left.sum()
    return left / total if total > 0 else p
