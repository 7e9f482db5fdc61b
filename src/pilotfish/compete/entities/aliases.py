"""Names by their letters: an inverted index of trigrams finds what is near, and edit-based similarity orders it.

Sources: Ukkonen 1992 (q-grams and approximate matching); Navarro 2001 (A Guided Tour to Approximate String Matching),
section 8: filtering by q-grams, then verifying. The filter is the cosine of the names' sets of trigrams, each weighed
by how rare it is; the verification is rapidfuzz's weighted ratio. A trigram is known by a hash of 18 bits: two that
share one count as the same for the filter, never for the verification. The initials of a name of several words are a
name too, which counts for less.

On the disk there are the names alone, in columns that only grow; the inverted index is made from them when it is opened
(some 2 s for a million names), so that there is nothing that could be stale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.compete.entities.names import initials, normalised
from pilotfish.retrieve._appended import Appended
from pilotfish.retrieve._best import best_of, found_of
from pilotfish.retrieve.found import Found

__all__ = ["AliasIndex", "Near", "Trigrams"]

BITS = 18
DEPTH = 64  # names that are compared letter by letter
SHORT = 0.8  # what the same initials count: many a name has them
_COLUMNS = {"letters": ("uint8", 1), "ends": ("int64", 1), "owners": ("int64", 1)}
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Near:
    """A row whose name is near: how near, from 0 to 1, and which of its names (normalised)."""

    row: int
    score: float
    name: str


def trigrams(names: Sequence[str]) -> tuple[Ints, Ints]:
    """Return the buckets of names' trigrams, and whose they are: (entries,) each, a bucket once a name."""
    text = "".join(f" {name} " for name in names)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    owners = np.repeat(np.arange(len(names)), [len(name) + 2 for name in names])
    if len(codes) < 3:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    with np.errstate(over="ignore"):
        mixed = codes[:-2] * np.uint32(0x9E3779B1) + codes[1:-1] * np.uint32(0x85EBCA77)
        mixed = mixed + codes[2:] * np.uint32(0xC2B2AE3D)
        mixed = (mixed ^ (mixed >> np.uint32(15))) * np.uint32(0x27D4EB2F)
    inside = owners[:-2] == owners[2:]
    buckets = (mixed >> np.uint32(32 - BITS))[inside].astype(np.int64)
    keys = np.unique(buckets * len(names) + owners[:-2][inside])
    return keys // len(names), keys % len(names)


class Trigrams:
    """The cosines of names' weighed sets of trigrams with another name's.

    Args:
        names: normalised.
    """

    def __init__(self, names: Sequence[str]) -> None:
        buckets, owners = trigrams(names)
        holding = np.bincount(buckets, minlength=1 << BITS)
        self.count = len(names)
        self._starts = np.concatenate([[0], np.cumsum(holding)])
        self._rows = owners.astype(np.int32)
        self._idf = np.log1p((self.count - holding + 0.5) / (holding + 0.5))
        weights = self._idf[buckets]
        lengths = np.sqrt(np.bincount(owners, weights**2, minlength=self.count))
        self._values = (weights / np.maximum(lengths[owners], 1e-12)).astype(np.float32)

    def cosines(self, name: str) -> NDArray[np.float32]:
        """Return (names,): 1 for the same trigrams, 0 for none in common."""
        buckets = trigrams([name])[0]
        weights = self._idf[buckets]
        weights = (weights / max(float(np.sqrt((weights**2).sum())), 1e-12)).astype(np.float32)
        told: NDArray[np.float32] = np.zeros(self.count, np.float32)
        for bucket, weight in zip(buckets.tolist(), weights, strict=True):
            some = slice(int(self._starts[bucket]), int(self._starts[bucket + 1]))
            told[self._rows[some]] += weight * self._values[some]  # a name stands once at most in a bucket
        return told


@dataclass(frozen=True, eq=False)
class _Names:
    """What searches read: names and whose they are, the first `own` of them given, the others initials of these."""

    names: list[str]
    rows: Ints
    own: int
    grams: Trigrams


class AliasIndex:
    """Rows of a knowledge base by their names.

    A row's score is that of its nearest name: the mean of the trigrams' cosine and of rapidfuzz's weighted ratio, 1
    where they are the same.

    Args:
        folder: of its files.
        depth: names that are compared letter by letter.
    """

    name = "names"

    def __init__(self, folder: Path, depth: int = DEPTH) -> None:
        self.folder, self.depth = folder, depth
        self._kept = Appended(folder, _COLUMNS)
        self._deleted: set[int] = set()
        # What searches read, replaced together: other threads may be searching.
        self._settled = _Names([], np.zeros(0, np.int64), 0, Trigrams([]))
        self._known: tuple[_Names, frozenset[str]] = self._settled, frozenset()

    @property
    def rows(self) -> int:
        """How many rows it holds, deleted ones and those without a name among them."""
        return int(self._kept.facts.get("rows", 0))

    def add(self, names: Sequence[Sequence[str]]) -> None:
        """Take in the names of the next rows; they last when this returns, and are found after `settle`.

        Raises:
            DataError: the disk is full, or refuses.
        """
        first, at = self.rows, self._kept.sizes["letters"]
        kept = [(first + row, name) for row, some in enumerate(names) for name in dict.fromkeys(map(normalised, some))]
        letters = [name.encode("utf-8", "surrogatepass") for _, name in kept if name]
        self._kept.append("letters", np.frombuffer(b"".join(letters), np.uint8))
        self._kept.append("ends", at + np.cumsum([len(one) for one in letters], dtype=np.int64))
        self._kept.append("owners", np.array([row for row, name in kept if name], np.int64))
        self._kept.commit({"rows": first + len(names)})

    def delete(self, rows: Sequence[int]) -> None:
        """Forget rows: they are found no more after `settle`."""
        self._deleted.update(map(int, rows))

    def settle(self) -> None:
        """Make the inverted index of what is there."""
        letters = self._kept.read("letters").tobytes()
        ends = self._kept.read("ends").tolist()
        owners = np.asarray(self._kept.read("owners"))
        alive = ~np.isin(owners, np.fromiter(self._deleted, np.int64, len(self._deleted)))
        starts = [0, *ends[:-1]]
        names = [letters[starts[at] : ends[at]].decode("utf-8", "surrogatepass") for at in np.flatnonzero(alive)]
        several = [at for at, name in enumerate(names) if " " in name]
        whole = [*names, *(initials(names[at]) for at in several)]
        rows = np.concatenate([owners[alive], owners[alive][several]]) if several else owners[alive]
        self._settled = _Names(whole, rows, len(names), Trigrams(whole))

    def near(self, surface: str, k: int) -> list[Near]:
        """Return the k rows with the nearest names, best first; of equal ones the first row."""
        held, asked = self._settled, normalised(surface)
        if not asked or not held.names:
            return []
        cosines = held.grams.cosines(asked)
        cosines[cosines <= 0] = -np.inf
        best = best_of(cosines, max(self.depth, k))
        if not len(best):
            return []
        fuzzy = need("rapidfuzz", "entities")
        close = [held.names[at] for at in best]
        told = fuzzy.process.cdist([asked], close, scorer=fuzzy.fuzz.WRatio, dtype=np.float32)[0] / 100.0
        scores = (told + np.minimum(cosines[best], 1.0)) / 2 * np.where(best < held.own, 1.0, SHORT)
        found: dict[int, Near] = {}
        for row, score, name in zip(held.rows[best].tolist(), scores.tolist(), close, strict=True):
            if row not in found or score > found[row].score:
                found[row] = Near(row, score, name)
        return sorted(found.values(), key=lambda one: (-one.score, one.row))[:k]

    def rank(self, queries: Sequence[str], k: int) -> Found:
        """See `pilotfish.retrieve.found.Ranker`."""
        told = [self.near(query, k) for query in queries]
        rows = [np.array([one.row for one in some], np.int64) for some in told]
        return found_of(rows, [np.array([one.score for one in some], np.float32) for some in told], k)

    def known(self) -> frozenset[str]:
        """Return every name, normalised; initials are none."""
        held = self._settled
        if self._known[0] is not held:
            self._known = held, frozenset(held.names[: held.own])
        return self._known[1]
