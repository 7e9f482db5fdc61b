"""N-grams of characters or words as 64-bit numbers, for many texts at once, without a Python loop over n-grams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError

__all__ = ["UNITS", "UNSET", "batches", "hashed", "mixed", "word_hashes"]

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
UNITS = ("char", "word")
UNSET = "\0"  # stands where a text has too few words; `normalised` leaves it in a text of nothing else only

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_BATCH = 1 << 20  # characters hashed at a time: about 40 MB of scratch


def mixed(numbers: Words) -> Words:
    """Return the numbers scrambled, one to one: the last step of splitmix64 (Steele, Lea and Flood 2014)."""
    out = numbers ^ (numbers >> np.uint64(30))
    out *= np.uint64(0xBF58476D1CE4E5B9)
    out ^= out >> np.uint64(27)
    out *= np.uint64(0x94D049BB133111EB)
    out ^= out >> np.uint64(31)
    return out


def hashed(texts: Sequence[str], n: int, unit: str = "char") -> tuple[Words, Ints]:
    """Return the n-grams of all texts, one text after another, and how many each has: (grams,), (texts,).

    They come as often as they stand in the text. Characters: one blank is put before and after the text; a text shorter
    than n characters, blanks counted, is its own only n-gram; up to n = 3 the number tells the n-gram exactly (three
    code points in 63 bits). Words stand between single blanks, as `normalised` leaves them; a text of fewer than n
    words is its own only n-gram. Any other number is a hash: two n-grams share it with a chance of about 1 in 10^19.

    Raises:
        ConfigError: an unknown unit.
    """
    if unit not in UNITS:
        raise ConfigError(f"n-grams are of {' or '.join(UNITS)}, not {unit!r}")
    return _of_characters(texts, n) if unit == "char" else _of_words(texts, n)


def batches(texts: Sequence[str], most: int = _BATCH) -> Iterator[tuple[int, int]]:
    """Yield ranges of texts of about `most` characters together, or of one longer text."""
    start = size = 0
    for place, text in enumerate(texts):
        if place > start and size + len(text) > most:
            yield start, place
            start, size = place, 0
        size += len(text) + 2
    if start < len(texts):
        yield start, len(texts)


def _codes(text: str) -> Words:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)


def _of_characters(texts: Sequence[str], n: int) -> tuple[Words, Ints]:
    padded = [f" {text} ".ljust(n) for text in texts]
    lengths = np.fromiter(map(len, padded), dtype=np.int64, count=len(padded))
    codes = _codes("".join(padded))
    windows = max(0, len(codes) - n + 1)
    grams = codes[:windows].copy()
    for offset in range(1, n):
        step = codes[offset : windows + offset]
        # Past 63 bits a multiplication by an odd constant spreads the bits before the next code point comes in.
        grams = (grams << np.uint64(21)) | step if n <= 3 else (grams ^ (grams >> np.uint64(29))) * _SPREAD + step
    return _inside(grams, lengths, n)


def _of_words(texts: Sequence[str], n: int) -> tuple[Words, Ints]:
    counts = np.fromiter((text.count(" ") + 1 for text in texts), dtype=np.int64, count=len(texts))
    padded = [
        text if count >= n else text + f" {UNSET}" * (n - count) for text, count in zip(texts, counts, strict=True)
    ]
    words = word_hashes(padded)
    windows = max(0, len(words) - n + 1)
    grams = words[:windows]
    for offset in range(1, n):
        grams = mixed(grams) + words[offset : windows + offset]
    return _inside(grams, np.maximum(counts, n), n)


def word_hashes(texts: Sequence[str]) -> Words:
    """Return a hash of each word of each text, one text after another; an empty text has one word, the empty one.

    A word is the scrambled sum of its characters, each scrambled together with its place, so that no order of
    characters, however regular, makes two words collide more often than chance would.
    """
    if not texts:
        return np.empty(0, np.uint64)
    codes = _codes(" ".join(texts) + " ")
    ends = np.flatnonzero(codes == 32)
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(len(codes), dtype=np.int64) - np.repeat(starts, ends - starts + 1)
    # The blank that ends a word counts as a character of it: so no word is without any, and its length is told.
    return mixed(np.add.reduceat(mixed(codes + place.astype(np.uint64) * _SPREAD), starts))


def _inside(grams: Words, lengths: Ints, n: int) -> tuple[Words, Ints]:
    """Leave out the windows that run from one text into the next."""
    ends = np.cumsum(lengths)
    kept = np.ones(len(grams), dtype=bool)
    for back in range(1, n):
        crossing = ends - back
        kept[crossing[crossing < len(grams)]] = False
    return grams[kept], lengths - n + 1
