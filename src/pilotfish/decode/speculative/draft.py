"""What a draft is: it guesses how an answer goes on, cheaply, and never decides anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pilotfish.decode.speculative.tree import Tree, children
from pilotfish.decode.strategy import Job

if TYPE_CHECKING:
    from torch import Tensor

    from pilotfish.decode.decoder import Prompt

__all__ = ["Draft", "Drafted", "Judge", "Plan", "Proposal", "Seat"]


@dataclass(eq=False)
class Seat:
    """A job as its draft sees it: the draft's own prompt, the tokens the answer has so far, and the draft's state.

    `refused`: why the draft cannot follow this job (its prompt is too long, say); empty where it can.
    """

    job: Job
    prompt: Prompt
    tokens: list[int] = field(default_factory=list)
    state: Any = None
    refused: str = ""


class Judge(Protocol):
    """Tells a draft when to stop. What it says may depend on what is already drafted, never on a token to be drawn."""

    def chance(self, sign: int, prior: float = 0.7) -> float:
        """Return the share of tokens with this sign that the target has accepted of late; `prior` before it has any."""

    def goes_on(self, survival: float, *, paid: bool) -> bool:
        """Say whether one more token pays that survives with this probability; `paid`: its distribution is known."""


@dataclass(frozen=True)
class Plan:
    """What to draft for one job: `length` tokens on a path at most, as a chain or a tree.

    `match`: propose without drawing, so that the target's own draw decides (see `verify`).
    """

    length: int
    tree: Tree | None = None
    match: bool = False


@dataclass
class Proposal:
    """Nodes that may come next. Empty where the draft has no idea.

    Attributes:
        tokens: one a node; parents stand before their children.
        parents: the node each follows, -1 for the answer's last token; None for a chain.
        q: the log-probabilities (vocabulary,) that each node was drawn from, siblings without replacement, in order;
            None where the nodes were not drawn but follow from the tokens before them.
        signs: what the draft knew of each token's chances before it drew it, 0 to 15, for `Judge.chance`.
    """

    tokens: list[int] = field(default_factory=list)
    parents: list[int] | None = None
    q: list[Tensor] | None = None
    signs: list[int] = field(default_factory=list)

    def children(self) -> list[list[int]]:
        """Return the children of the answer's last token, then those of each node: lists of nodes."""
        parents = range(-1, len(self.tokens) - 1) if self.parents is None else self.parents
        return children(parents)

    @property
    def depth(self) -> int:
        """The length of the longest path."""
        if self.parents is None:
            return len(self.tokens)
        depths: list[int] = []
        for parent in self.parents:
            depths.append(1 if parent < 0 else depths[parent] + 1)
        return max(depths, default=0)

    def fed_parents(self) -> list[int]:
        """Return the parents where the answer's last token is fed first, as node 0."""
        if self.parents is None:
            return list(range(-1, len(self.tokens)))
        return [-1, *(parent + 1 for parent in self.parents)]


@dataclass
class Drafted:
    """What one round of drafting gave: a proposal a seat, and the passes through the draft model it took."""

    proposals: list[Proposal]
    steps: int = 0
    fed: list[int] = field(default_factory=list)


class Draft(Protocol):
    """Guesses tokens for several jobs at once. Rows of its own it opens when first asked, and closes at `close`."""

    @property
    def name(self) -> str:
        """The name that traces and reports show."""

    @property
    def trees(self) -> bool:
        """Whether it can draft trees."""

    def propose(self, seats: Sequence[Seat], plans: Sequence[Plan], judge: Judge) -> Drafted:
        """Propose what follows each seat's tokens."""

    def close(self, seat: Seat) -> None:
        """Give the seat's memory back."""
