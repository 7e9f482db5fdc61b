"""Near pairs among many sets: sketches, candidates by banding, each checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import ConfigError
from pilotfish.rows._grams import UNITS, batches, hashed
from pilotfish.rows._groups import joined
from pilotfish.rows._lsh import Banding, across, within
from pilotfish.rows._sketch import sketches
from pilotfish.rows._sketch_native import library, packed
from pilotfish.rows._sketch_texts import Packed, encoded_texts, similarities, sketched_bytes
from pilotfish.rows._verify import estimated, jaccard

__all__ = ["MinHash", "near_across", "near_within"]

Ints = NDArray[np.int64]
Pairs = tuple[Ints, Ints, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class MinHash:
    """How near-duplicates are sought by MinHash.

    Attributes:
        threshold: the least Jaccard similarity of near texts.
        ngram: characters or words an n-gram.
        unit: `char` or `word`.
        size: places a sketch, 4 bytes each; the estimate's standard error is at most sqrt(s (1 - s) / size).
        seed: of the hashes.
    """

    threshold: float = 0.8
    ngram: int = 3
    unit: str = "char"
    size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"the threshold of near-duplicates must be above 0 and at most 1, not {self.threshold}")
        if not 1 <= self.ngram <= 64:
            raise ConfigError(f"an n-gram has 1 to 64 {self.unit}s, not {self.ngram}")
        if self.unit not in UNITS:
            raise ConfigError(f"n-grams are of {' or '.join(UNITS)}, not {self.unit!r}")
        if not 16 <= self.size <= 4096:
            raise ConfigError(f"a sketch has 16 to 4096 places, not {self.size}")
        if self.seed < 0:
            raise ConfigError(f"a seed is at least 0, not {self.seed}")

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)

    @property
    def banding(self) -> Banding:
        """Bands and rows for the threshold."""
        return Banding.best(self.threshold, self.size)

    def found(self, similarity: ArrayLike) -> NDArray[np.float64]:
        """Return the chance that pairs of these similarities are found, where candidates are compared exactly.

        Below the threshold none is. From it on a pair must agree on a band, and in enough places for a look; the
        second is taken as a binomial's, which these sketches undercut. What joins a pair by way of others adds to it.
        """
        s = np.asarray(similarity, dtype=np.float64)
        needed = least_equal(self, exact=True)
        spread = np.sqrt(np.maximum(s * (1 - s), 1e-12) / self.size)
        looked = np.array([math.erf(z / math.sqrt(2)) for z in np.ravel((s - (needed - 0.5) / self.size) / spread)])
        chance = self.banding.probability(s) * (0.5 + 0.5 * looked.reshape(s.shape))
        return np.where(s >= self.threshold - 1e-12, chance, 0.0)

    def sketched(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> NDArray[np.uint32]:
        """Return the sketch of each normalised text: (texts, size)."""
        out = np.empty((len(texts), self.size), dtype=np.uint32)
        for start, stop in batches(texts):
            some = texts[start:stop]
            found = None
            if library() is not None:
                found = sketched_bytes(*packed(encoded_texts(some)), self.ngram, self.unit, self.size, self.seed)
            out[start:stop] = self._in_numpy(some) if found is None else found
            if progress is not None:
                progress(stop - start)
        return out

    def sketched_packed(self, data: NDArray[np.uint8], starts: Ints) -> NDArray[np.uint32]:
        """Return the sketch of each normalised text, in UTF-8 one after another: (texts, size)."""
        found = sketched_bytes(data, starts, self.ngram, self.unit, self.size, self.seed)
        if found is not None:
            return found
        texts = Packed(data, starts)
        return self._in_numpy([texts[place] for place in range(len(texts))])

    def _in_numpy(self, texts: Sequence[str]) -> NDArray[np.uint32]:
        grams, counts = hashed(texts, self.ngram, self.unit)
        return sketches(grams, counts, self.size, self.seed)


def near_within(
    found: NDArray[np.uint32],
    how: MinHash,
    texts: Sequence[str] | None = None,
    since: int = 0,
    rows: Ints | None = None,
) -> Pairs:
    """Return near pairs i < j of sketches: (left, right, similarity), enough of them to join every group.

    A pair whose two are of one group through others by the time it comes up is not looked at, so a group of m copies of
    one pattern gives some multiple of m pairs and not m squared.

    Args:
        found: (texts, size) sketches.
        how: the settings they were made with.
        texts: the normalised texts; with them each pair is checked exactly, without by its sketches.
        since: only pairs with j >= since.
        rows: which sketches to look at, ascending; i, j, `texts` and `since` then go by places in it. None takes all.
    """
    banding = how.banding
    check = Check(found, how, texts, rows)
    some = slice(None) if rows is None else rows
    least = np.arange(check.total, dtype=np.int64)
    for band in range(banding.bands):
        keys = banding.keys(found, band)[some]
        further = banding.keys(found, (band + 1) % banding.bands)[some]
        for left, right in _pairs_of(keys, further, since):
            apart = least[left] != least[right]
            left, right, _ = check(left[apart], right[apart])  # noqa: PLW2901
            least = joined(least, left, right)
    return check.pairs


def _pairs_of(keys: NDArray[np.uint64], further: NDArray[np.uint64], since: int) -> Iterator[tuple[Ints, Ints]]:
    for left, right in within(keys[since:], further[since:]):
        yield left + since, right + since
    if since:
        for right, left in across(keys[since:], keys[:since]):
            yield left, right + since


def near_across(found: NDArray[np.uint32], how: MinHash, split: int, texts: Sequence[str] | None = None) -> Pairs:
    """Return near pairs i < split <= j: (left, right, similarity); else as for `near_within`.

    Of each left text at most 64 right ones a band are looked at: those beyond are mostly copies of one another.
    """
    banding = how.banding
    check = Check(found, how, texts)
    for band in range(banding.bands):
        keys = banding.keys(found, band)
        for left, right in across(keys[:split], keys[split:]):
            check(left, right + split)
    return check.pairs


def least_equal(how: MinHash, *, exact: bool) -> int:
    """Return how many places of two sketches must be equal: for a pair to be near, or `exact`, to be compared exactly.

    What lies 3 standard errors below the threshold is not compared: at most 1 in 700 of the pairs at the threshold, and
    fewer of those above; these sketches being better than the binomial that the error is of, it is nearer 1 in 10,000.
    """
    error = np.sqrt(how.threshold * (1 - how.threshold) / how.size)
    floor = how.threshold - (3 * error if exact else 0.0)
    return max(0, math.ceil((floor - 1e-12) * how.size))


class Check:
    """Checks candidates, each once, and keeps the near ones."""

    def __init__(
        self, found: NDArray[np.uint32], how: MinHash, texts: Sequence[str] | None, rows: Ints | None = None
    ) -> None:
        self.found, self.how, self.texts, self.rows = found, how, texts, rows
        self.total = len(found) if rows is None else len(rows)
        self.floor = least_equal(how, exact=texts is not None) / how.size
        self.done = np.empty(0, np.int64)
        self._packed: Packed | None = None
        if texts is not None and library() is not None:
            self._packed = texts if isinstance(texts, Packed) else Packed(*packed(encoded_texts(texts)))
        self.kept: list[Pairs] = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))]

    def __call__(self, left: Ints, right: Ints) -> Pairs:
        keys = np.sort(left * self.total + right)
        keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys
        if len(self.done):
            place = np.minimum(np.searchsorted(self.done, keys), len(self.done) - 1)
            keys = keys[self.done[place] != keys]
        left, right = np.divmod(keys, self.total)
        a, b = (left, right) if self.rows is None else (self.rows[left], self.rows[right])
        similarity = estimated(self.found, a, b)
        likely = similarity >= self.floor - 1e-12
        keys, left, right, similarity = keys[likely], left[likely], right[likely], similarity[likely]
        # Two ascending runs, of which nothing is in both: a stable sort merges them in one pass.
        self.done = np.sort(np.concatenate([self.done, keys]), kind="stable")
        if self.texts is not None:
            similarity = self._exact(left, right)
        near = similarity >= self.how.threshold - 1e-12
        self.kept.append((left[near], right[near], similarity[near]))
        return self.kept[-1]

    def _exact(self, left: Ints, right: Ints) -> NDArray[np.float64]:
        assert self.texts is not None
        if self._packed is not None:
            found = similarities(self._packed, left, right, self.how.ngram, self.how.unit)
            assert found is not None
            return found
        return jaccard(self.texts, left, right, self.how.ngram, self.how.unit)

    @property
    def pairs(self) -> Pairs:
        """All near pairs so far, in order."""
        left, right, similarity = (np.concatenate(parts) for parts in zip(*self.kept, strict=True))
        order = np.lexsort((right, left))
        return left[order], right[order], similarity[order]
