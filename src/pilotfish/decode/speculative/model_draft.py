"""A smaller model, or several in lockstep, as a draft over the target's own vocabulary: chains and trees.

The draft's rows follow the answer: what the target did not accept is rolled back, and what it said instead is fed. A
truncated copy of the target's own layers (Zhang et al. 2024, "Draft & Verify", without the search for layers) is such a
model too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pilotfish.decode.speculative.draft import Drafted, Judge, Plan, Proposal, Seat
from pilotfish.decode.speculative.tree_level import Live, level
from pilotfish.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from pilotfish.decode.decoder import Decoder, Row

__all__ = ["ModelDraft", "signs_of"]


@dataclass(eq=False)
class _State:
    """The draft's row, and how many of its tokens are known to be the answer's."""

    row: Row
    agreed: int = 0


class ModelDraft:
    """Drafts with a decoder.

    Args:
        decoder: the small model; its token ids mean what the target's mean.
        vocabulary: how many logits the target has. The draft's are cut or filled up (-inf) to that, since models of
            one family differ in padding rows.
        ends: nothing is proposed after one of these.
        name: the name in traces.
    """

    def __init__(
        self, decoder: Decoder, vocabulary: int, ends: frozenset[int] = frozenset(), name: str = "draft"
    ) -> None:
        self.decoder, self.vocabulary, self.ends, self.name = decoder, vocabulary, ends, name

    @property
    def trees(self) -> bool:
        """Whether the decoder takes trees."""
        return self.decoder.trees

    def propose(self, seats: Sequence[Seat], plans: Sequence[Plan], judge: Judge) -> Drafted:
        """Propose a chain or a tree a seat; one pass through the draft a depth, for all seats together."""
        out = Drafted([Proposal() for _ in seats])
        self._open(
            [seat for seat, plan in zip(seats, plans, strict=True) if plan.length and not (seat.state or seat.refused)]
        )
        wanted = [
            (i, seat, plan) for i, (seat, plan) in enumerate(zip(seats, plans, strict=True)) if self._fits(seat, plan)
        ]
        if not wanted:
            return out
        lives = []
        for (i, seat, plan), logits in zip(wanted, self._catch_up([seat for _, seat, _ in wanted], out), strict=True):
            lives.append(Live(seat, plan, logits[-1:]))
            out.proposals[i] = lives[-1].proposal
        self._chains([live for live in lives if live.plan.tree is None], judge, out)
        self._trees([live for live in lives if live.plan.tree is not None], out)
        return out

    def close(self, seat: Seat) -> None:
        """Close the seat's row."""
        if seat.state is not None:
            self.decoder.close(seat.state.row)
            seat.state = None

    def _open(self, seats: Sequence[Seat]) -> None:
        """Run the draft's prompts; a seat whose prompt it does not take stays without a draft."""
        if not seats:
            return
        try:
            rows, _ = self.decoder.start([seat.prompt for seat in seats])
        except ModelError as error:
            if len(seats) == 1:
                seats[0].refused = f"the draft cannot follow: {error}"
            else:
                for seat in seats:
                    self._open([seat])
            return
        for seat, row in zip(seats, rows, strict=True):
            seat.state = _State(row)

    def _fits(self, seat: Seat, plan: Plan) -> bool:
        """Say whether the draft has room for the answer so far and the nodes it may be fed."""
        if plan.length < 1 or seat.state is None:
            return False
        state: _State = seat.state
        nodes = plan.length if plan.tree is None else plan.tree.size
        behind = len(seat.tokens) - min(state.agreed, len(seat.tokens) - 1)
        return self.decoder.room(state.row) + len(state.row.tokens) - state.agreed >= behind + nodes

    def _catch_up(self, seats: Sequence[Seat], out: Drafted) -> list[Tensor]:
        """Bring the rows to the end of the answers; return the logits after what was fed."""
        pending = []
        for seat in seats:
            state: _State = seat.state
            fed, said = state.row.tokens, seat.tokens
            # One token at least is fed, since logits come from feeding.
            most = min(len(fed), len(said) - 1)
            while state.agreed < most and fed[state.agreed] == said[state.agreed]:
                state.agreed += 1
            state.agreed = min(state.agreed, most)
            if len(fed) > state.agreed:
                self.decoder.rollback(state.row, state.agreed)
            pending.append(said[state.agreed :])
            state.agreed = len(said)
        return self._feed(seats, pending, out)

    def _feed(
        self,
        seats: Sequence[Seat],
        tokens: Sequence[Sequence[int]],
        out: Drafted,
        parents: list[list[int]] | None = None,
    ) -> list[Tensor]:
        out.steps += 1
        out.fed.append(sum(map(len, tokens)))
        rows = [seat.state.row for seat in seats]
        return [_fitted(logits, self.vocabulary) for logits in self.decoder.feed(rows, tokens, parents)]

    # Chains.

    def _chains(self, lives: Sequence[Live], judge: Judge, out: Drafted) -> None:
        """Draft token by token; a job leaves when its chain is long enough or does not pay any more."""
        while lives:
            signs = signs_of(torch.cat([live.logits for live in lives]))
            lives = [live for live, sign in zip(lives, signs, strict=True) if self._next(live, sign, judge)]
            if lives:
                tokens = [[live.proposal.tokens[-1]] for live in lives]
                for live, logits in zip(lives, self._feed([live.seat for live in lives], tokens, out), strict=True):
                    live.logits = logits

    def _next(self, live: Live, sign: int, judge: Judge) -> bool:
        """Add a token to a chain where it pays; say whether another one may follow it."""
        proposal = live.proposal
        survival = live.survival * judge.chance(sign)
        if not judge.goes_on(survival, paid=True):
            return False
        live.survival = survival
        sampler = live.seat.job.sampler
        try:
            if live.plan.match:
                token = _best(live)
            else:
                logprobs = sampler.logprobs(live.logits, proposal.tokens)[0]
                token = sampler.draw(logprobs)
                proposal.q = [*(proposal.q or ()), logprobs]
        except ModelError:
            # The row's grammar allows nothing after what was drafted; the target will say so if it is true.
            return False
        proposal.tokens.append(token)
        proposal.signs.append(sign)
        if token in self.ends or len(proposal.tokens) >= live.plan.length:
            return False
        return judge.goes_on(survival, paid=False)

    # Trees.

    def _trees(self, lives: Sequence[Live], out: Drafted) -> None:
        """Draft level by level. The nodes so far are fed again at each level: one pass, whose cost hardly grows."""
        opened = {id(live): [-1] for live in lives}
        depth = 0
        while lives:
            for live in lives:
                opened[id(live)] = level(live, opened[id(live)], depth, self.ends)
            depth += 1
            lives = [live for live in lives if opened[id(live)] and depth < live.plan.length]
            if not lives:
                return
            seats = [live.seat for live in lives]
            tokens = [live.proposal.tokens for live in lives]
            parents = [live.proposal.parents or [] for live in lives]
            for live, logits in zip(lives, self._feed(seats, tokens, out, parents), strict=True):
                self.decoder.keep(live.seat.state.row, [])
                live.logits = torch.cat([live.logits[:1], logits])


def _best(live: Live) -> int:
    """Return the likeliest token under the row's own settings; nothing is drawn."""
    sampler, ahead = live.seat.job.sampler, live.proposal.tokens
    if sampler.greedy:
        return sampler.choose(live.logits, ahead)[0]
    return int(sampler.logprobs(live.logits, ahead)[0].argmax())


def _fitted(logits: Tensor, vocabulary: int) -> Tensor:
    """Cut the logits to the target's vocabulary, or fill them up with -inf."""
    missing = vocabulary - logits.shape[-1]
    if missing <= 0:
        return logits[..., :vocabulary]
    return torch.nn.functional.pad(logits, (0, missing), value=float("-inf"))


def signs_of(logits: Tensor) -> list[int]:
    """Return 0 to 15 by the likeliest token's probability (rows, vocabulary); finer where the draft is sure."""
    best = (logits.amax(-1) - logits.logsumexp(-1)).exp()
    # Steps of the odds' logarithm: 0.5 is 4, 0.9 is 7, 0.99 is 11.
    odds = torch.logit(best.clamp(1e-6, 1 - 1e-6)) * 1.4 + 4.0
    return [int(x) for x in odds.clamp(0, 15).tolist()]
