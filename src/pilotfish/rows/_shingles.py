"""Texts as sets of n-grams, and the similarity join over such sets, in numpy.

The join is exact: it gives every pair with Jaccard similarity at or above the threshold, and no other. Sources:
prefix and length filters, Bayardo, Ma and Srikant 2007 (All-Pairs); position filter, Xiao et al. 2008 (PPJoin); bitmap
filter, Sandes, Teodoro and Melo 2020.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilotfish.rows._grams import hashed

Ints = NDArray[np.int64]

_WORDS = 4  # 64-bit words of a bitmap
_CHUNK = 1 << 21  # candidate pairs held at a time


class _Blanks(dict[int, int | str]):
    """For `str.translate`: punctuation, separators and controls become a blank; filled as characters come up."""

    def __missing__(self, code: int) -> int | str:
        self[code] = " " if unicodedata.category(chr(code))[0] in "PZC" else code
        return self[code]


_BLANKS = _Blanks()


def normalised(text: str) -> str:
    """Return the text in NFKC, without case, with punctuation and runs of white space as one blank.

    A text of nothing but punctuation keeps it, or all such texts would be the same.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.translate(_BLANKS).split()) or " ".join(folded.split())


@dataclass(frozen=True, slots=True)
class Sets:
    """Sets of tokens in rows: set i is `tokens[starts[i] : starts[i + 1]]`, rarest token first.

    Tokens are numbered by rarity, so the order within a set is ascending.
    """

    tokens: Ints
    starts: Ints

    @property
    def sizes(self) -> Ints:
        """The number of tokens of each set: (sets,)."""
        return np.diff(self.starts)


def shingles(texts: Sequence[str], n: int, unit: str = "char") -> Sets:
    """Return the set of n-grams of each text, of characters or words, as `hashed` tells them.

    Raises:
        ConfigError: an unknown unit.
    """
    grams, counts = hashed(texts, n, unit)
    return _ranked(grams, np.repeat(np.arange(len(texts), dtype=np.int64), counts), len(texts))


def _ranked(grams: NDArray[np.uint64], owner: Ints, sets: int) -> Sets:
    """Number the grams by rarity and put each set in order, each gram once."""
    _, codes = np.unique(grams, return_inverse=True)
    vocabulary = int(codes.max()) + 1 if len(codes) else 0
    keys = np.unique(owner * max(vocabulary, 1) + codes)
    owner, codes = np.divmod(keys, max(vocabulary, 1))
    frequency = np.bincount(codes, minlength=vocabulary)
    rank = np.empty(vocabulary, dtype=np.int64)
    rank[np.argsort(frequency, kind="stable")] = np.arange(vocabulary)
    keys = np.sort(owner * max(vocabulary, 1) + rank[codes])
    owner, tokens = np.divmod(keys, max(vocabulary, 1))
    return Sets(tokens, np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=sets))]).astype(np.int64))


def similar_pairs(sets: Sets, threshold: float, split: int | None = None) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """Return every pair i < j whose sets have a Jaccard similarity >= threshold: (left, right, similarity).

    Args:
        sets: the sets; none may be empty.
        threshold: above 0, at most 1.
        split: where given, only pairs with i < split <= j.
    """
    found = [
        (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64)),
    ]
    bitmaps = _bitmaps(sets)
    for left, right in _candidates(sets, threshold, split):
        near = _bitmap_filter(sets, bitmaps, left, right, threshold)
        left, right = left[near], right[near]  # noqa: PLW2901
        keys = np.unique(np.minimum(left, right) * len(sets.sizes) + np.maximum(left, right))
        low, high = np.divmod(keys, len(sets.sizes))
        similarity = _jaccard(sets, low, high)
        kept = similarity >= threshold - 1e-12
        found.append((low[kept], high[kept], similarity[kept]))
    low, high, similarity = (np.concatenate(parts) for parts in zip(*found, strict=True))
    # One pair may come up in two chunks.
    _, first = np.unique(low * len(sets.sizes) + high, return_index=True)
    return low[first], high[first], similarity[first]


def _candidates(sets: Sets, threshold: float, split: int | None) -> Iterator[tuple[Ints, Ints]]:
    """Yield pairs of sets that share a token among their rarest ones and are near in size.

    Two sets with similarity >= t share at least ceil(t |x|) tokens with either, so they share one among the first
    |x| - ceil(t |x|) + 1 of x and among the first |y| - ceil(t |y|) + 1 of y.
    """
    sizes = sets.sizes
    prefix = sizes - np.ceil(threshold * sizes - 1e-9).astype(np.int64) + 1
    owner = np.repeat(np.arange(len(sizes), dtype=np.int64), prefix)
    place = np.arange(len(owner), dtype=np.int64) - np.repeat(np.cumsum(prefix) - prefix, prefix)
    tokens = sets.tokens[sets.starts[owner] + place]
    order = np.lexsort((owner, sizes[owner], tokens))
    owner, tokens, place = owner[order], tokens[order], place[order]
    # In the postings of a token, by size: partners of an entry are the entries before it that are not too small.
    span = int(sizes.max(initial=0)) + 1
    keys = tokens * span + sizes[owner]
    smallest = np.ceil(threshold * sizes[owner] - 1e-9).astype(np.int64)
    begin = np.searchsorted(keys, tokens * span + smallest, side="left")
    counts = np.arange(len(owner), dtype=np.int64) - begin
    total = np.cumsum(counts)
    start = 0
    while start < len(owner):
        done = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + _CHUNK, side="right")))
        some = counts[start:stop]
        right = np.repeat(np.arange(start, stop, dtype=np.int64), some)
        left = np.arange(int(some.sum()), dtype=np.int64) - np.repeat(np.cumsum(some) - some, some)
        left += np.repeat(begin[start:stop], some)
        a, b = owner[left], owner[right]
        # Position filter: what both can share up to this token and from it on must be enough.
        needed = np.ceil(threshold / (1 + threshold) * (sizes[a] + sizes[b]) - 1e-9)
        before = np.minimum(place[left], place[right])
        after = np.minimum(sizes[a] - place[left], sizes[b] - place[right])
        hit = before + after >= needed
        if split is not None:
            hit &= (a < split) != (b < split)
        yield a[hit], b[hit]
        start = stop


def _bitmaps(sets: Sets) -> NDArray[np.uint64]:
    """Return a bitmap of 256 bits a set: bit `token mod 256` is on where the set has such a token. (sets, 4)."""
    bits = np.zeros((len(sets.sizes), _WORDS * 64), dtype=bool)
    owner = np.repeat(np.arange(len(sets.sizes)), sets.sizes)
    bits[owner, sets.tokens % (_WORDS * 64)] = True
    return np.packbits(bits, axis=1).view(np.uint64)


def _bitmap_filter(
    sets: Sets, bitmaps: NDArray[np.uint64], left: Ints, right: Ints, threshold: float
) -> NDArray[np.bool_]:
    """Tell which pairs may reach the threshold.

    A bit that is on in one bitmap only stands for at least one token that the other set lacks, so the number of such
    bits is at most the size of the symmetric difference, which similarity t bounds by (1 - t) / (1 + t) (|x| + |y|).
    """
    differ = np.zeros(len(left), dtype=np.int64)
    for word in range(_WORDS):
        differ += _popcount(bitmaps[left, word] ^ bitmaps[right, word])
    sizes = sets.sizes
    allowed = (1 - threshold) / (1 + threshold) * (sizes[left] + sizes[right])
    return differ <= allowed + 1e-9


def _popcount(words: NDArray[np.uint64]) -> Ints:
    if hasattr(np, "bitwise_count"):  # numpy 2
        return np.asarray(np.bitwise_count(words), dtype=np.int64)
    return np.asarray(_ONES[words.view(np.uint8)].reshape(-1, 8).sum(axis=1), dtype=np.int64)


_ONES = np.array([value.bit_count() for value in range(256)], dtype=np.uint8)


def _jaccard(sets: Sets, left: Ints, right: Ints) -> NDArray[np.float64]:
    """Return the exact similarity of each pair, some pairs at a time to bound memory."""
    similarity = np.empty(len(left), dtype=np.float64)
    sizes = sets.sizes
    mean = float(sizes.mean()) if len(sizes) else 1.0
    step = max(1, math.floor(_CHUNK / max(mean, 1.0)))
    span = int(sets.tokens.max(initial=0)) + 1
    for start in range(0, len(left), step):
        a, b = left[start : start + step], right[start : start + step]
        keys = np.sort(np.concatenate([_tokens_of(sets, side) + _pair_of(sets, side) * span for side in (a, b)]))
        shared = np.bincount(keys[1:][keys[1:] == keys[:-1]] // span, minlength=len(a))
        similarity[start : start + step] = shared / (sizes[a] + sizes[b] - shared)
    return similarity


def _pair_of(sets: Sets, side: Ints) -> Ints:
    return np.repeat(np.arange(len(side), dtype=np.int64), sets.sizes[side])


def _tokens_of(sets: Sets, side: Ints) -> Ints:
    counts = sets.sizes[side]
    within = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    tokens: Ints = sets.tokens[np.repeat(sets.starts[side], counts) + within]
    return tokens
