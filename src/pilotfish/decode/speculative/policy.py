"""How much to draft: a fixed amount, or as much as pays by what has been measured so far.

A round with survival probabilities S_1 >= S_2 >= ... (S_i: the first i drafted tokens are all accepted) gives
1 + S_1 + ... + S_k tokens and takes k draft passes and one target pass over k + 1 tokens (Leviathan et al. 2023,
theorem 3.8, with the measured time of that pass in place of a constant). The k with the most tokens a second drafts the
i-th token exactly where S_i >= rate * (draft pass + what one more token adds to the target pass), `rate` being the best
tokens a second themselves (renewal-reward; taking the rate reached so far for it is Dinkelbach's iteration).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pilotfish.decode.speculative.curve import Curve
from pilotfish.decode.speculative.draft import Judge
from pilotfish.decode.speculative.tree import Tree

__all__ = ["Arm", "Auto", "Fixed", "Policy", "Round"]

Arm = Literal["plain", "chain", "tree"]
# A draft that is free and finds that nothing pays learns nothing any more, and times may have been measured in a bad
# moment. After so many such rounds it drafts what survives with this probability, whatever it takes.
IDLE, TRIED = 32, 0.1


@dataclass(frozen=True)
class Round:
    """What one round was and took, over all its rows.

    `fed` tokens through the target; `steps` passes of the draft, `draft_seconds` in all. `judged`: (sign, accepted) of
    the chains' nodes that the target got to.
    """

    arm: Arm
    rows: int
    tokens: int
    fed: int
    target_seconds: float
    draft_seconds: float = 0.0
    steps: int = 0
    judged: Sequence[tuple[int, bool]] = ()


class Policy(Judge, Protocol):
    """Chooses what a round drafts, and learns from what came of it."""

    target: Curve

    def choose(self, rows: int) -> tuple[Arm, int, Tree | None]:
        """Return what to do next for this many rows: the arm, the most tokens on a path, the tree's shape."""

    def learn(self, round_: Round) -> None:
        """Take note of a round."""

    @property
    def state(self) -> str:
        """What it is doing and why, in a few words for the trace."""


class Fixed:
    """Always the same: a chain of `length`, or a tree. With `baseline` a few plain steps first, to compare with."""

    def __init__(self, length: int = 4, tree: Tree | None = None, *, baseline: bool = False) -> None:
        self.length, self.tree, self.baseline = length, tree, baseline
        self.target, self.draft = Curve(), Curve()

    @property
    def state(self) -> str:
        """The shape."""
        return f"length {self.length}" if self.tree is None else f"tree of {self.tree.size}"

    def choose(self, rows: int) -> tuple[Arm, int, Tree | None]:
        """Return the shape."""
        if self.baseline and not self.target.known(rows):
            return "plain", 0, None
        return ("chain", self.length, None) if self.tree is None else ("tree", self.tree.longest, self.tree)

    def chance(self, sign: int, prior: float = 0.7) -> float:
        """Return 1: it is not asked for."""
        del sign, prior
        return 1.0

    def goes_on(self, survival: float, *, paid: bool) -> bool:
        """Return True."""
        del survival, paid
        return True

    def learn(self, round_: Round) -> None:
        """Note what passes take, for the report."""
        self.target.add(round_.fed, round_.target_seconds)
        if round_.steps:
            self.draft.add(round_.rows, round_.draft_seconds / round_.steps)


class Auto:
    """Drafts what pays, tries trees beside chains where it is given a shape, and switches itself off.

    It begins with a few plain steps, for the time they take. Then it drafts; after `trial` rounds it goes by the
    speed-up over plain steps, as estimated from the median times of passes. Below `low` it stops drafting, for `rest`
    steps at first and twice as many after each trial that fails, up to `rest_most`; a trial must reach `high`.

    Args:
        longest: the most tokens on a drafted chain.
        tree: a shape to try in turn with chains; the faster one is used.
    """

    def __init__(
        self,
        longest: int = 12,
        tree: Tree | None = None,
        *,
        trial: int = 12,
        low: float = 0.98,
        high: float = 1.03,
        rest: int = 64,
        rest_most: int = 1024,
    ) -> None:
        self.longest, self.tree = longest, tree
        self.trial, self.low, self.high, self.rest, self.rest_most = trial, low, high, rest, rest_most
        self.target, self.draft = Curve(), Curve()
        self._signs: dict[int, list[float]] = {}
        self._gain: dict[Arm, list[float]] = {}
        self._rows = 1
        self._rounds = 0  # drafting rounds since the last trial began
        self._proven = False
        self._idle = 0  # rounds without a draft, one after the other
        self._off = 0  # plain steps still to go before the next trial
        self._resting = rest
        self._since_plain = 0

    @property
    def state(self) -> str:
        """On or off, and the speed-up that says so."""
        speed = self.speedup
        told = f", predicted speed-up {speed:.2f}" if speed is not None else ""
        return f"off{told}" if self._off else f"on{told}"

    @property
    def speedup(self) -> float | None:
        """The speed-up of the arm in use over plain steps; None before it has drafted."""
        known = [self._speedup(arm) for arm in self._gain]
        return max(known) if known else None

    def choose(self, rows: int) -> tuple[Arm, int, Tree | None]:
        """Return a plain step, a chain or a tree."""
        self._rows = rows
        if self._off:
            self._off -= 1
            return "plain", 0, None
        # A plain step now and then keeps its time true while the context grows.
        if not self.target.known(rows) or self._since_plain >= 256:
            self._since_plain = 0
            return "plain", 0, None
        self._since_plain += 1
        if self._arm() == "tree" and self.tree is not None:
            return "tree", self.tree.longest, self.tree
        return "chain", self.longest, None

    def chance(self, sign: int, prior: float = 0.7) -> float:
        """Return the decayed share of tokens with this sign that were accepted; `prior` counts as 4 tokens."""
        accepted, judged = self._signs.get(sign, (0.0, 0.0))
        return (accepted + 4.0 * prior) / (judged + 4.0)

    def goes_on(self, survival: float, *, paid: bool) -> bool:
        """Say whether a token that survives with this probability is worth its passes."""
        rows = self._rows
        step = self.target.at(rows)
        if step <= 0:
            return True
        rate = max(1.0, self._speedup("chain")) * rows / step
        if self._idle >= IDLE:
            return survival >= TRIED
        # What one more token a row adds, in the middle of the range: single differences are mostly noise.
        more = sum((self.target.at(rows * size) - step) / (rows * (size - 1)) for size in (3, 5, 9)) / 3
        return survival >= rate * (max(0.0, more) + (0.0 if paid else self.draft.at(rows) / rows))

    def learn(self, round_: Round) -> None:
        """Note times and acceptances; decide about stopping."""
        self.target.add(round_.fed, round_.target_seconds)
        if round_.arm == "plain":
            return
        if round_.steps:
            self.draft.add(round_.rows, round_.draft_seconds / round_.steps)
        for sign, accepted in round_.judged:
            counts = self._signs.setdefault(sign, [0.0, 0.0])
            counts[:] = [counts[0] * 0.98 + accepted, counts[1] * 0.98 + 1.0]
        drafting = round_.steps * self.draft.at(round_.rows)
        if round_.fed == round_.rows and drafting < 0.01 * self.target.at(round_.rows):
            self._idle += 1
            return  # nothing was drafted, and finding that out was free: it says nothing about whether drafting pays
        self._idle = 0
        took = self.target.at(round_.fed) + drafting
        gain = self._gain.setdefault(round_.arm, [0.0, 0.0])
        plain = round_.tokens * self.target.at(round_.rows) / round_.rows
        gain[:] = [gain[0] * 0.97 + plain, gain[1] * 0.97 + took]
        self._rounds += 1
        self._settle()

    def _speedup(self, arm: Arm) -> float:
        gained, took = self._gain.get(arm, (0.0, 0.0))
        return gained / took if took > 0 else 1.0

    def _arm(self) -> Arm:
        """Return the faster shape; the other one for 4 rounds in 64, and both in turn at first."""
        if self.tree is None:
            return "chain"
        if self._rounds < 2 * self.trial:
            return "chain" if self._rounds // 4 % 2 == 0 else "tree"
        better: Arm = "chain" if self._speedup("chain") >= self._speedup("tree") else "tree"
        other: Arm = "tree" if better == "chain" else "chain"
        return other if self._rounds % 64 < 4 else better

    def _settle(self) -> None:
        """Stop drafting where it does not pay."""
        needed = self.trial if self.tree is None else 2 * self.trial
        if self._rounds < needed:
            return
        speed = self.speedup or 0.0
        if speed >= (self.low if self._proven else self.high):
            self._proven, self._resting = True, self.rest
            return
        self._off, self._resting = self._resting, min(2 * self._resting, self.rest_most)
        # The next trial judges anew, and tries tokens again that had no chance in this one.
        self._signs = {sign: [accepted * 0.2, judged * 0.2] for sign, (accepted, judged) in self._signs.items()}
        self._rounds, self._proven = 0, False
        self._gain = {arm: [gained * 0.05, took * 0.05] for arm, (gained, took) in self._gain.items()}
