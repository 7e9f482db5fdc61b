"""Prompt look-up as a draft: what followed the last tokens when they stood in the prompt or the answer before.

Source: Saxena 2023; Yang et al. 2023 (LLMA). It costs next to nothing, and pays where answers quote their prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

from pilotfish.decode.ngram import Guess, NGrams
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
        """Propose a chain a seat. A token's sign is how much of the text before it matched, and how sure that is."""
        return Drafted([self._one(seat, plan, judge) for seat, plan in zip(seats, plans, strict=True)], 1)

    def close(self, seat: Seat) -> None:
        """Forget the text."""
        seat.state = None

    def _one(self, seat: Seat, plan: Plan, judge: Judge) -> Proposal:
        if seat.state is None:
            seat.state = NGrams(seat.prompt[0], self.max_ngram, self.min_ngram)
        index: NGrams = seat.state
        index.extend(seat.tokens[len(index.tokens) - len(seat.prompt[0]) :])
        proposal, survival = Proposal(), 1.0
        for guess in index.guesses(plan.length):
            sign, prior = _sign(guess)
            survival *= judge.chance(sign, prior)
            if not judge.goes_on(survival, paid=False):
                break
            proposal.tokens.append(guess.token)
            proposal.signs.append(sign)
            if guess.token in self.ends:
                break
        return proposal


# What was accepted of tokens that 1, 2, 3-4, 5-8 and more tokens before them spoke for: where the places they were read
# from agreed, where most of them did, and where fewer did. Of 20 Spec-Bench answers (RAG and summarisation, greedy).
PRIORS = ((0.50, 0.75, 0.88, 0.93, 0.97), (0.30, 0.50, 0.50, 0.50, 0.50), (0.15, 0.30, 0.30, 0.30, 0.30))


def _sign(guess: Guess) -> tuple[int, float]:
    """Return 0 to 14, and the chance to begin with."""
    length = min((guess.matched - 1).bit_length(), 4)
    doubt = 0 if guess.share == 1 else 1 if guess.share >= 0.5 else 2
    return 5 * doubt + length, PRIORS[doubt][length]
