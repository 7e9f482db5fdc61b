"""What a search for duplicates found: groups of texts, pairs, conflicting labels, leaks."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.rows._groups import components

__all__ = ["Conflict", "Duplicates", "Leaks", "conflicts_of", "grouped"]

Ints = NDArray[np.int64]
Pairs = tuple[Ints, Ints, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A group of duplicates whose labels differ: one of them is wrong, or the labels overlap.

    Attributes:
        rows: the rows of the group.
        labels: their labels, in the same order.
    """

    rows: tuple[int, ...]
    labels: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Which texts say the same.

    Attributes:
        group: (texts,) the first text of each text's group; equal numbers mean the same group. Groups are the connected
            components of nearness: a ~ b and b ~ c put a and c together. Pass it to `split` as `group`.
        pairs: (left, right, similarity) for the near pairs, nearest first; exact copies, each with the first of its
            kind, have similarity 1. The exact method gives all pairs, MinHash enough to join each group.
        exact: how many texts are an exact copy, after normalising, of an earlier one.
        conflicts: groups with more than one label, where labels were given.
    """

    group: Ints
    pairs: tuple[tuple[int, int, float], ...] = ()
    exact: int = 0
    conflicts: tuple[Conflict, ...] = ()

    @property
    def keep(self) -> list[int]:
        """The first text of each group, in order."""
        return [int(place) for place in np.flatnonzero(self.group == np.arange(len(self.group)))]

    @property
    def removed(self) -> list[int]:
        """All other texts, in order."""
        return [int(place) for place in np.flatnonzero(self.group != np.arange(len(self.group)))]

    @property
    def removed_ratio(self) -> float:
        """The share of texts that are a duplicate of an earlier one; 0 for no texts."""
        return len(self.removed) / len(self.group) if len(self.group) else 0.0

    def nearest(self) -> dict[int, tuple[int, float]]:
        """Return for each removed text another of its group and their similarity: the nearest of the pairs known."""
        removed = set(self.removed)
        known: dict[int, tuple[int, float]] = {}
        for left, right, similarity in self.pairs:
            for one, other in ((left, right), (right, left)):
                if one in removed:
                    known.setdefault(one, (other, similarity))
        return known

    def to_json(self, examples: int = 20) -> dict[str, Any]:
        """Return the counts, and the first few pairs and conflicts, as plain data."""
        return {
            "texts": len(self.group),
            "kept": len(self.keep),
            "removed": len(self.removed),
            "exact": self.exact,
            "removed_ratio": self.removed_ratio,
            "pairs": [list(pair) for pair in self.pairs[:examples]],
            "conflicts": len(self.conflicts),
            "conflicting": [
                {"rows": list(conflict.rows), "labels": list(conflict.labels)} for conflict in self.conflicts[:examples]
            ],
        }


@dataclass(frozen=True, eq=False)
class Leaks:
    """Which training texts are copies of test texts.

    Attributes:
        train: the training texts to drop, in order.
        pairs: (train, test, similarity) for every near pair, nearest first.
    """

    train: Ints
    pairs: tuple[tuple[int, int, float], ...] = field(default=())

    def __len__(self) -> int:
        return len(self.train)

    def to_json(self, examples: int = 20) -> dict[str, Any]:
        """Return the count and the first few pairs as plain data."""
        return {"leaks": len(self.train), "pairs": [list(pair) for pair in self.pairs[:examples]]}


def grouped(firsts: Ints, first_of: Ints, near: Pairs, labels: Sequence[Hashable] | None = None) -> Duplicates:
    """Return what near pairs of distinct texts say of all texts.

    Args:
        firsts: (distinct,) the first text of each distinct one, ascending.
        first_of: (texts,) for each text its distinct one.
        near: (left, right, similarity) of distinct ones.
        labels: one a text, or None.
    """
    left, right, similarity = near
    # `firsts` ascends, so the least member of a component is its first text.
    group = firsts[components(len(firsts), left, right)[first_of]]
    copies = np.flatnonzero(firsts[first_of] != np.arange(len(first_of)))
    pairs = [(int(firsts[first_of[copy]]), int(copy), 1.0) for copy in copies]
    pairs += [
        (int(firsts[a]), int(firsts[b]), round(float(s), 6)) for a, b, s in zip(left, right, similarity, strict=True)
    ]
    return Duplicates(
        group=group,
        pairs=tuple(sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))),
        exact=len(copies),
        conflicts=conflicts_of(group, labels) if labels is not None else (),
    )


def conflicts_of(group: Ints, labels: Sequence[Hashable]) -> tuple[Conflict, ...]:
    """Return the groups with more than one label; None labels nothing."""
    members: dict[int, list[int]] = {}
    for place, first in enumerate(group.tolist()):
        if labels[place] is not None:
            members.setdefault(first, []).append(place)
    return tuple(
        Conflict(tuple(rows), tuple(labels[row] for row in rows))
        for rows in members.values()
        if len({labels[row] for row in rows}) > 1
    )
