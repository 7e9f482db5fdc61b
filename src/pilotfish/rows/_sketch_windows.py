"""A hash of each run of n words, rolled along: one multiplication a word, whatever n.

The words' hashes are the digits of a number to an odd base, mod 2^64; a window's is the difference of two prefixes,
moved to the front, and scrambled. Two runs that differ share a hash with a chance of about 1 in 10^19; 10^9 windows of
which no two are equal have one such pair with a chance of 3%.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pilotfish.rows._grams import batches, mixed, word_hashes

__all__ = ["window_hashes"]

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
_BASE = np.uint64(0x9E3779B97F4A7C15)
_BACK = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))


def window_hashes(texts: Sequence[str], n: int) -> Iterator[tuple[Words, Ints]]:
    """Yield, some texts at a time, the hashes of their windows and how many each text has: (windows,), (texts,).

    Args:
        texts: words between single blanks; an empty text has none.
        n: words a window.
    """
    for start, stop in batches(texts):
        some = texts[start:stop]
        counts = np.fromiter((text.count(" ") + 1 for text in some), dtype=np.int64, count=len(some))
        words = word_hashes(some)
        powers = np.full(len(words) + 1, _BASE)
        powers[0] = 1
        back = np.full(max(0, len(words) - n + 1), _BACK)
        back[:1] = 1
        np.cumprod(powers, out=powers)
        np.cumprod(back, out=back)
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(words * powers[:-1], dtype=np.uint64)])
        found = mixed((sums[n:] - sums[:-n]) * back) if len(words) >= n else np.empty(0, np.uint64)
        windows = np.maximum(0, counts - n + 1)
        # Windows that run from one text into the next are passed over.
        shift = np.cumsum(counts) - counts - (np.cumsum(windows) - windows)
        inside = np.arange(int(windows.sum()), dtype=np.int64) + np.repeat(shift, windows)
        yield found[inside], windows
