"""Word n-grams that rows share with test rows, and whole short texts that stand in the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pilotfish.rows._grams import batches, hashed

__all__ = ["Overlap", "Shared"]

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Shared:
    """Places where a row shares an n-gram with the tests, in the order of the rows.

    Attributes:
        row: (places,) the row.
        at: (places,) the word of the row that the n-gram begins at.
        table: (places,) which rule it falls under.
        entry: (places,) the first place of the rule's table that has the n-gram.
    """

    row: Ints
    at: Ints
    table: Ints
    entry: Ints

    def only(self, some: NDArray[np.bool_] | Ints) -> Shared:
        """Return some of the places."""
        return Shared(self.row[some], self.at[some], self.table[some], self.entry[some])


@dataclass(frozen=True, slots=True)
class _Table:
    """N-grams of one length of the tests, by their hashes, and which rows are looked up in them."""

    length: int
    exactly: bool  # rows of just this many words, or of at least as many
    hashes: Words
    row: Ints
    at: Ints


class Overlap:
    """The n-grams of test texts.

    Two texts overlap where they share `n` words in a row; where one of them has fewer, but at least `shortest`, where
    all of it stands in the other; where one has fewer still, where both are the same. N-grams go by 64-bit hashes.

    Args:
        tests: normalised texts; empty ones overlap with nothing.
        n: words an n-gram.
        shortest: the fewest words that count inside another text.
    """

    def __init__(self, tests: Sequence[str], n: int, shortest: int) -> None:
        self.tests = tests
        shortest = min(shortest, n)
        words = _counted(tests)
        wanted = [(n, words >= n, False)]
        for length in range(1, n):
            wanted.append((length, words == length, length < shortest))
            if length >= shortest:
                wanted.append((length, words > length, True))
        self.tables: list[_Table] = []
        for length, these, exactly in wanted:
            hashes, row, at = _grams(tests, np.flatnonzero(these), length)
            order = np.argsort(hashes, kind="stable")
            if len(order):
                self.tables.append(_Table(length, exactly, hashes[order], row[order], at[order]))

    def find(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Shared:
        """Return what normalised texts share with the tests."""
        found = [Shared(*(np.empty(0, np.int64) for _ in fields(Shared)))]
        for start, stop in batches(texts):
            some = texts[start:stop]
            words = _counted(some)
            for number, table in enumerate(self.tables):
                these = words == table.length if table.exactly else words >= table.length
                hashes, row, at = _grams(some, np.flatnonzero(these), table.length)
                entry = np.searchsorted(table.hashes, hashes)
                hit = np.flatnonzero(table.hashes[np.minimum(entry, len(table.hashes) - 1)] == hashes)
                found.append(Shared(row[hit] + start, at[hit], np.full(len(hit), number), entry[hit]))
            if progress is not None:
                progress(stop - start)
        every = Shared(*(np.concatenate([getattr(part, field.name) for part in found]) for field in fields(Shared)))
        return every.only(np.lexsort((every.at, every.table, every.row)))

    def rare(self, found: Shared, most: int) -> Shared:
        """Leave out n-grams that stand in more than `most` of the rows: they are turns of phrase, not copies."""
        gram = _pair(found.table, found.entry)
        _, kind = np.unique(gram, return_inverse=True)
        once = np.unique(_pair(kind, found.row))  # an n-gram that stands twice in a row counts once
        return found.only(np.bincount(once >> 32)[kind] <= most) if len(kind) else found

    def shown(self, found: Shared, place: int, texts: Sequence[str]) -> tuple[int, str]:
        """Return the test row and the n-gram of a place; an empty n-gram where hashes agreed but words do not."""
        table, entry = self.tables[found.table[place]], found.entry[place]
        test, at, mine = int(table.row[entry]), int(table.at[entry]), int(found.at[place])
        words = texts[found.row[place]].split(" ")[mine : mine + table.length]
        return test, " ".join(words) if words == self.tests[test].split(" ")[at : at + table.length] else ""

    def touched(self, found: Shared) -> Ints:
        """Return the test rows that share something, ascending."""
        out = [np.empty(0, np.int64)]
        for number, table in enumerate(self.tables):
            hashes = np.unique(table.hashes[found.entry[found.table == number]])
            out.append(table.row[np.isin(table.hashes, hashes)] if len(hashes) else out[0])
        return np.unique(np.concatenate(out))


def _counted(texts: Sequence[str]) -> Ints:
    return np.fromiter((text.count(" ") + 1 if text else 0 for text in texts), dtype=np.int64, count=len(texts))


def _grams(texts: Sequence[str], these: Ints, n: int) -> tuple[Words, Ints, Ints]:
    """Return the n-grams of some texts, which have at least n words: hash, text, word."""
    hashes, counts = hashed([texts[place] for place in these], n, "word")
    at = np.arange(len(hashes), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    return hashes, np.repeat(these, counts), at


def _pair(a: Ints, b: Ints) -> Ints:
    return (a << 32) | b
