"""Shapes of token trees: a fixed number of branches at each depth, or the likeliest nodes within a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilotfish.errors import ConfigError

__all__ = ["Tree", "children"]


@dataclass(frozen=True)
class Tree:
    """How a draft branches.

    Either `widths`: each node at depth i has widths[i] children, drawn without replacement (Jeon et al. 2024) or, where
    nothing is drawn, the likeliest ones. Or `nodes`: the likeliest `nodes` paths by the draft's own probability, at
    most `depth` long, found level by level with `beam` nodes opened a level (Li et al. 2024, EAGLE-2, section 4).

    Raises:
        ConfigError: both or neither are given, or a number is below 1.
    """

    widths: tuple[int, ...] = ()
    nodes: int = 0
    depth: int = 6
    beam: int = 4

    def __post_init__(self) -> None:
        if bool(self.widths) == bool(self.nodes):
            raise ConfigError("a draft tree needs widths, such as [3, 2, 1], or a number of nodes, and not both")
        if min((*self.widths, self.nodes or 1, self.depth, self.beam)) < 1:
            raise ConfigError("a draft tree's widths, nodes, depth and beam must be at least 1")

    @property
    def longest(self) -> int:
        """The length of its longest path."""
        return len(self.widths) or self.depth

    @property
    def size(self) -> int:
        """The most nodes it can have."""
        if self.nodes:
            return self.nodes
        total, level = 0, 1
        for width in self.widths:
            level *= width
            total += level
        return total


def children(parents: Sequence[int]) -> list[list[int]]:
    """Return the children of the root (-1), then those of each node, in order."""
    out: list[list[int]] = [[] for _ in range(len(parents) + 1)]
    for node, parent in enumerate(parents):
        out[parent + 1].append(node)
    return out
