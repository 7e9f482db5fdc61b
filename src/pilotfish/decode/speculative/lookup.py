"""Prompt look-up as a draft: what followed the last tokens when they stood in the prompt or the answer before.

Source: Saxena 2023; Yang et al. 2023 (LLMA). It costs next to nothing, and pays where answers quote their prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

from pilotfish.decode.ngram import NGrams
from pilotfish.decode.speculative.draft import Drafted, Judge, Plan, Proposal, Seat

__all__ = ["LookupDraft"]


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
        """Propose a chain a seat. A token's sign is how much of the text matched, and its place in the chain."""
        return Drafted([self._one(seat, plan, judge) for seat, plan in zip(seats, plans, strict=True)], 1)

    def close(self, seat: Seat) -> None:
        """Forget the text."""
        seat.state = None

    def _one(self, seat: Seat, plan: Plan, judge: Judge) -> Proposal:
        if seat.state is None:
            # One index a size, so that it is known how long a match was.
            sizes = range(self.max_ngram, self.min_ngram - 1, -1)
            seat.state = {size: NGrams(seat.prompt[0], size, size) for size in sizes}
        grams: dict[int, NGrams] = seat.state
        for index in grams.values():
            index.extend(seat.tokens[len(index.tokens) - len(seat.prompt[0]) :])
        proposal, survival = Proposal(), 1.0
        # The longest match counts.
        tries = ((size, index.propose(plan.length)) for size, index in grams.items())
        size, found = next(((size, found) for size, found in tries if found), (0, []))
        for place, token in enumerate(found):
            sign = _sign(size, place)
            survival *= judge.chance(sign)
            if not judge.goes_on(survival, paid=False):
                break
            proposal.tokens.append(token)
            proposal.signs.append(sign)
            if token in self.ends:
                break
        return proposal


def _sign(size: int, place: int) -> int:
    """Return 0 to 14: matches of one, two, and more tokens; places 0, 1, 2-3, 4-7, and later."""
    return 5 * (min(size, 3) - 1) + min(place.bit_length(), 4)
