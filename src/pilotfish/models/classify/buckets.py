"""Texts as sets of hashed words and n-grams of words: in C where there is a compiler, else the same in numpy.

Words are runs of letters and digits in lower case; every other sign is a word of its own, and so is a line's end; a
text ends with a mark. Presence counts, not frequency: on the texts of `benchmarks/curate_quality.py` it did better.
N-grams of characters, where they are asked for, are those of each word between `<` and `>` (Bojanowski et al. 2017,
section 3.2), so that words that were never seen have something in common with those that were.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from pilotfish.models.classify._native import library
from pilotfish.rows._grams import batches, mixed

__all__ = ["Buckets", "Hasher"]

Ints = NDArray[np.int64]
_BASE, _STEP, _MASK = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1
_CHARACTERS = 0x84222325CBF29CE4  # as in C: no n-gram of characters is taken for a word
_WORDS = re.compile(r"\w+|[^\w\s]|\n")
_KNOWN = 1 << 18  # hashes of words that numpy's way remembers


class Buckets:
    """The buckets of texts, each once a text.

    Attributes:
        bucket: (found,) one text after another.
        counts: (texts,) how many are each text's.
        words: (texts,) words of each text, its end not counted.
    """

    def __init__(self, bucket: NDArray[np.int32], counts: Ints, words: Ints) -> None:
        self.bucket, self.counts, self.words = bucket, counts, words

    def at(self, rows: Sequence[int] | Ints) -> Buckets:
        """Return the buckets of some texts."""
        picked = np.asarray(rows, np.int64)
        starts = np.cumsum(self.counts) - self.counts
        counts = self.counts[picked]
        # Of each text its own stretch: the place in the stretch, and where the stretch begins.
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return Buckets(self.bucket[np.repeat(starts[picked], counts) + within], counts, self.words[picked])

    def sums(self, weights: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return each text's sum of weights over the root of its number of buckets: (texts,); 0 for an empty text."""
        running = np.concatenate([[0.0], np.cumsum(weights[self.bucket], dtype=np.float64)])
        stops = np.cumsum(self.counts)
        return np.asarray((running[stops] - running[stops - self.counts]) / np.sqrt(np.maximum(self.counts, 1)))


class Hasher:
    """Makes buckets of texts.

    Args:
        ngram: words of the longest n-gram, 1 to 16.
        bits: of a bucket's number, 8 to 28.
        characters: of the shortest and the longest n-gram of characters; (0, 0) for none.
        native: False takes numpy's way.
    """

    def __init__(self, ngram: int, bits: int, *, characters: tuple[int, int] = (0, 0), native: bool = True) -> None:
        self.ngram, self.bits, self.characters = ngram, bits, characters
        self._library = library() if native else None
        self._stamps = np.zeros(1 << bits if self._library else 0, np.uint32)
        self._next = 1
        self._lock = threading.Lock()  # one table of stamps, and C lets other threads run
        self._known: dict[str, int] = {}
        self._spelt: dict[str, Ints] = {}

    def __call__(self, texts: Sequence[str]) -> Buckets:
        """Return the buckets of texts."""
        parts = [self._some(texts[start:stop]) for start, stop in batches(texts)]
        if len(parts) == 1:
            return parts[0]
        none = Buckets(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64))
        parts.append(none)
        return Buckets(
            np.concatenate([part.bucket for part in parts]),
            np.concatenate([part.counts for part in parts]),
            np.concatenate([part.words for part in parts]),
        )

    def _some(self, texts: Sequence[str]) -> Buckets:
        if self._library is None:
            return self._by_numpy(texts)
        with self._lock:
            return self._by_c(texts)

    def _by_c(self, texts: Sequence[str]) -> Buckets:
        assert self._library is not None
        data = [text.lower().encode("utf-8", "surrogatepass") for text in texts]
        starts = np.concatenate([[0], np.cumsum(np.fromiter(map(len, data), np.int64, len(data)))]).astype(np.int64)
        whole = b"".join(data)
        if self._next + len(texts) >= 1 << 32:
            self._stamps[:] = 0
            self._next = 1
        least, most = self.characters
        lengths = most - least + 1 if most else 0
        room = self.ngram * (len(whole) + 1 + len(texts)) + lengths * 2 * (len(whole) + len(texts))
        out = np.empty(room, np.int32)
        counts, words = np.empty(len(texts), np.int64), np.empty(len(texts), np.int64)
        pointers = [array.ctypes.data for array in (self._stamps, out, counts, words)]
        found = self._library.pf_buckets(
            whole, starts.ctypes.data, len(texts), _kinds().ctypes.data, self.ngram, self.bits,
            least, most, pointers[0], self._next, *pointers[1:],
        )  # fmt: skip
        self._next += len(texts)
        return Buckets(out[:found].copy(), counts, words)

    def _by_numpy(self, texts: Sequence[str]) -> Buckets:
        split = [_WORDS.findall(text.lower()) for text in texts]
        words = np.fromiter(map(len, split), np.int64, len(split))
        # The mark of the end is the hash of no bytes at all.
        marked = chain.from_iterable([*some, ""] if some else [] for some in split)
        lengths = words + (words > 0)
        hashes = np.fromiter(map(self._hash, marked), np.uint64, int(lengths.sum()))
        owner = np.repeat(np.arange(len(texts), dtype=np.int64), lengths)
        shift, grams = np.uint64(64 - self.bits), hashes
        keys = [(owner << self.bits) | (hashes >> shift).astype(np.int64)]
        for k in range(1, self.ngram):
            grams = mixed(grams[:-1]) + hashes[k:] if len(grams) else grams
            inside = owner[: len(grams)] == owner[k:][: len(grams)]
            keys.append(((owner[: len(grams)] << self.bits) | (grams >> shift).astype(np.int64))[inside])
        if self.characters[1]:
            spelt = [[self._spell(word) for word in set(some) if word[0] == "_" or word[0].isalnum()] for some in split]
            for row, each in enumerate(spelt):
                keys += [(row << self.bits) | gram for gram in each]
        found = np.unique(np.concatenate(keys))
        counts = np.bincount(found >> self.bits, minlength=len(texts)).astype(np.int64)
        return Buckets((found & ((1 << self.bits) - 1)).astype(np.int32), counts, words)

    def _hash(self, word: str) -> int:
        found = self._known.get(word)
        if found is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            found = self._known[word] = int(mixed(np.array([_fnv(word, _BASE)], np.uint64))[0])
        return found

    def _spell(self, word: str) -> Ints:
        """Return the buckets of a word's n-grams of characters."""
        found = self._spelt.get(word)
        if found is None:
            if len(self._spelt) >= _KNOWN:
                self._spelt.clear()
            least, most = self.characters
            marked = f"<{word}>"
            ends = [(i, i + n) for i in range(len(marked) - 1) for n in range(least, most + 1)]
            grams = {marked[i:j] for i, j in ends if j <= len(marked)} - {"<"}
            hashes = np.fromiter((_fnv(gram, _CHARACTERS) for gram in sorted(grams)), np.uint64, len(grams))
            found = self._spelt[word] = (mixed(hashes) >> np.uint64(64 - self.bits)).astype(np.int64)
        return found


def _fnv(text: str, start: int) -> int:
    """Return FNV-1a of a text's bytes."""
    found = start
    for byte in text.encode("utf-8", "surrogatepass"):
        found = ((found ^ byte) * _STEP) & _MASK
    return found


@cache
def _kinds() -> NDArray[np.uint8]:
    """Return of each code point what `_WORDS` makes of it: 1 in a word, 2 blank, 0 a word of its own."""
    every = "".join(map(chr, range(0x110000)))
    kinds = np.zeros(len(every), np.uint8)
    for pattern, kind in ((r"\w+", 1), (r"\s+", 2)):
        for found in re.finditer(pattern, every):
            kinds[found.start() : found.end()] = kind
    kinds[ord("\n")] = 0
    return kinds
