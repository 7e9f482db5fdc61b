"""Near-duplicates, found before rows are split, so that no test row is a training row in other clothes.

Two texts are the same when they agree after `normalised` (Unicode form, case, punctuation, white space); they are near
when the Jaccard similarity of their sets of character trigrams reaches a threshold. The search is exact, not sampled:
it finds every such pair and gives the same answer each time. 10,000 short texts take about a second, 100,000 about half
a minute.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._row import Rows, need_columns
from pilotfish.rows._shingles import normalised, shingles, similar_pairs

__all__ = ["Conflict", "Duplicates", "Leaks", "dedupe", "leaks", "near_duplicates"]

Ints = NDArray[np.int64]
THRESHOLD = 0.8


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
            kind, have similarity 1.
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


def near_duplicates(
    texts: Sequence[str],
    threshold: float = THRESHOLD,
    *,
    labels: Sequence[Hashable] | None = None,
    ngram: int = 3,
) -> Duplicates:
    """Group the texts that say the same.

    Args:
        texts: the texts.
        threshold: the least Jaccard similarity of near texts, above 0; 1 asks for equal sets of n-grams.
        labels: one a text; groups with several different ones are reported as conflicts. None labels nothing.
        ngram: characters an n-gram; more is stricter about small changes, and faster.

    Raises:
        ConfigError: the threshold or the n-gram length is out of range.
        DataError: there are not as many labels as texts.
    """
    _check(threshold, ngram)
    if labels is not None and len(labels) != len(texts):
        raise DataError(f"{len(texts)} texts but {len(labels)} labels")
    unique, firsts, first_of = _distinct(texts)
    left, right, similarity = similar_pairs(shingles(unique, ngram), threshold)
    parent = _components(len(unique), left, right)
    # `unique` is in order of first appearance, so the least member of a component is its first text.
    group = firsts[parent[first_of]] if len(texts) else np.empty(0, np.int64)
    copies = np.flatnonzero(firsts[first_of] != np.arange(len(texts))) if len(texts) else np.empty(0, np.int64)
    pairs = [(int(firsts[first_of[copy]]), int(copy), 1.0) for copy in copies]
    near = [
        (int(firsts[a]), int(firsts[b]), round(float(s), 6)) for a, b, s in zip(left, right, similarity, strict=True)
    ]
    return Duplicates(
        group=group,
        pairs=tuple(sorted(pairs + near, key=lambda pair: (-pair[2], pair[0], pair[1]))),
        exact=len(copies),
        conflicts=_conflicts(group, labels) if labels is not None else (),
    )


def dedupe(
    rows: Rows,
    *,
    text: str = "text",
    label: str | None = None,
    threshold: float = THRESHOLD,
    ngram: int = 3,
) -> tuple[Rows, Duplicates]:
    """Return the rows without later duplicates, and what was found.

    Args:
        rows: the rows; they are not changed.
        text: the column that is compared.
        label: the column whose differences within a group are reported.
        threshold: as for `near_duplicates`.
        ngram: as for `near_duplicates`.

    Raises:
        ConfigError: the threshold or the n-gram length is out of range.
        DataError: a row lacks a column, or its text is none.
    """
    for place, row in enumerate(rows):
        need_columns(row, text, *([label] if label else []), source=f"row {place + 1}")
        if not isinstance(row[text], str):
            raise DataError(f"row {place + 1}: column {text!r} is {type(row[text]).__name__}, not text")
    labels = [row[label] for row in rows] if label else None
    found = near_duplicates([row[text] for row in rows], threshold, labels=labels, ngram=ngram)
    return [rows[place] for place in found.keep], found


def leaks(train: Sequence[str], test: Sequence[str], threshold: float = THRESHOLD, *, ngram: int = 3) -> Leaks:
    """Return which training texts are the same as, or near, a test text.

    Drop them from the training set, not from the test set: the test set is what others measure on too.

    Raises:
        ConfigError: the threshold or the n-gram length is out of range.
    """
    _check(threshold, ngram)
    if not len(train) or not len(test):
        return Leaks(np.empty(0, np.int64))
    texts = [normalised(text) for text in (*train, *test)]
    sets = shingles(texts, ngram)
    left, right, similarity = similar_pairs(sets, threshold, split=len(train))
    pairs = [(int(a), int(b) - len(train), round(float(s), 6)) for a, b, s in zip(left, right, similarity, strict=True)]
    return Leaks(np.unique(left), tuple(sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))))


def _check(threshold: float, ngram: int) -> None:
    if not 0 < threshold <= 1:
        raise ConfigError(f"the threshold of near-duplicates must be above 0 and at most 1, not {threshold}")
    if not 1 <= ngram <= 16:
        raise ConfigError(f"an n-gram has 1 to 16 characters, not {ngram}")


def _distinct(texts: Sequence[str]) -> tuple[list[str], Ints, Ints]:
    """Return the distinct normalised texts, the first text of each, and for each text its distinct one."""
    place: dict[str, int] = {}
    firsts: list[int] = []
    first_of = np.empty(len(texts), np.int64)
    for index, text in enumerate(texts):
        key = normalised(text)
        if key not in place:
            place[key] = len(firsts)
            firsts.append(index)
        first_of[index] = place[key]
    return list(place), np.array(firsts, dtype=np.int64), first_of


def _components(size: int, left: Ints, right: Ints) -> Ints:
    """Return for each node the least node of its connected component."""
    parent = list(range(size))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for a, b in zip(left.tolist(), right.tolist(), strict=True):
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return np.array([root(node) for node in range(size)], dtype=np.int64)


def _conflicts(group: Ints, labels: Sequence[Hashable]) -> tuple[Conflict, ...]:
    members: dict[int, list[int]] = {}
    for place, first in enumerate(group.tolist()):
        if labels[place] is not None:
            members.setdefault(first, []).append(place)
    return tuple(
        Conflict(tuple(rows), tuple(labels[row] for row in rows))
        for rows in members.values()
        if len({labels[row] for row in rows}) > 1
    )
