"""Prompt look-up as a draft: what followed the last tokens when they stood in the prompt or the answer before.

Source: Saxena 2023; Yang et al. 2023 (LLMA). It costs next to nothing, and pays where answers quote their prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

from pilotfish.decode.ngram import NGrams
from pilotfish.decode.speculative.draft import Drafted, Judge, Plan, Proposal, Seat

__all__ = ["LookupDraft"]

SIGNS = 16


class LookupDraft:
    """Drafts from the row's own text.

    Args:
        max_ngram: the longest end of the text that is looked for.
        min_ngram: the shortest.
        ends: nothing is proposed after one of these.
        name: the name in traces.
    """

    trees = False

    def __init__(
        self,
        max_ngram: int = 3,
        min_ngram: int = 1,
        ends: frozenset[int] = frozenset(),
        name: str = "prompt-lookup",
    ) -> None:
        self.name = name
        self.max_ngram, self.min_ngram, self.ends = max_ngram, min_ngram, ends

    def propose(self, seats: Sequence[Seat], plans: Sequence[Plan], judge: Judge) -> Drafted:
        """Propose a chain a seat. A token's sign is its place in the chain: later ones are less often right."""
        return Drafted([self._one(seat, plan, judge) for seat, plan in zip(seats, plans, strict=True)], 1)

    def close(self, seat: Seat) -> None:
        """Forget the text."""
        seat.state = None

    def _one(self, seat: Seat, plan: Plan, judge: Judge) -> Proposal:
        if seat.state is None:
            seat.state = NGrams(seat.prompt[0], self.max_ngram, self.min_ngram)
        grams: NGrams = seat.state
        grams.extend(seat.tokens[len(grams.tokens) - len(seat.prompt[0]) :])
        tokens: list[int] = []
        survival = 1.0
        for place, token in enumerate(grams.propose(plan.length)):
            survival *= judge.chance(min(place, SIGNS - 1))
            if not judge.goes_on(survival, paid=False):
                break
            tokens.append(token)
            if token in self.ends:
                break
        return Proposal(tokens, signs=[min(place, SIGNS - 1) for place in range(len(tokens))])
