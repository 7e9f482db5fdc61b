"""What was computed once is not computed again: rows that begin alike share the work of their common beginning.

Keys and values depend only on the tokens before them, and the native decoder computes them to the same last bit however
they are fed; so a copy of another row's beginning is what running it again would give.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from pilotfish.decode.native._cache import RowCache

__all__ = ["Reuse", "common"]

LEAST = 16  # shorter beginnings are as quickly run as copied
ROWS = 4  # closed rows that are kept, the latest
BYTES = 256 << 20  # and how much memory they may take


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many tokens two sequences begin with in common."""
    most = min(len(a), len(b))
    if a[:most] == b[:most]:
        return most
    low, high = 0, most  # the first `low` agree, the first `high` do not
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low


class Reuse:
    """The rows a new one may copy from: those that are open, and a few that were closed lately."""

    def __init__(self) -> None:
        self._open: weakref.WeakSet[RowCache] = weakref.WeakSet()
        self._closed: list[RowCache] = []

    def opened(self, cache: RowCache) -> None:
        """Remember an open row."""
        self._open.add(cache)

    def closed(self, cache: RowCache) -> None:
        """Keep a closed row for a while, in place of the oldest."""
        self._open.discard(cache)
        cache.shrink()
        if len(cache.ids) < LEAST or cache.bytes > BYTES:
            return
        self._closed.append(cache)
        while len(self._closed) > ROWS or sum(one.bytes for one in self._closed) > BYTES:
            self._closed.pop(0)

    def begin(self, cache: RowCache, ids: list[int]) -> int:
        """Fill an empty row from the row that has most of `ids` in common; return how many tokens it now holds.

        The last of `ids` is never copied: its logits are wanted.
        """
        best, most = None, LEAST - 1
        for other in [*self._closed, *self._open]:
            if other is not cache and other.ids[:LEAST] == ids[:LEAST]:
                shared = min(common(other.ids, ids), other.straight, len(ids) - 1)
                if shared > most:
                    best, most = other, shared
        if best is None:
            return 0
        cache.take(best, most, room=len(ids))
        return most
