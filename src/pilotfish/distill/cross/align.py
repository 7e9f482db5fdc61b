"""Two tokenizations of one text, cut into the smallest groups of tokens that cover the same bytes.

A boundary is where both have one; the groups lie between neighbouring boundaries (TRL's GOLD trainer and Minixhofer et
al. 2025, "Universal Cross-Tokenizer Distillation via Approximate Likelihood Matching", section 3, call them alignment
groups and chunks). It is done on bytes, since a token may be a part of a character.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

__all__ = ["Group", "align"]

AGREES = 4  # so many bytes must agree before two texts that differ are taken to be in step again
AHEAD = 64  # how far that is looked for


class Group(NamedTuple):
    """Tokens of both that cover the same bytes: [start, end) of the student's, [start, end) of the teacher's."""

    student: tuple[int, int]
    teacher: tuple[int, int]


def align(student: Sequence[bytes], teacher: Sequence[bytes]) -> list[Group]:
    """Return the finest groups of tokens that cover the same bytes, in order.

    Where the texts themselves differ (one tokenizer normalises characters, or puts a space in front) there are groups
    only where the bytes agree. Empty pieces (special tokens) belong to no group, nor does a text that one tokenization
    has a special token inside of and the other has not.

    Args:
        student: the bytes of each of the student's tokens.
        teacher: those of the teacher's.
    """
    ours, theirs = _Cuts(student), _Cuts(teacher)
    groups = []
    for a, b, size in _agreeing(ours.data, theirs.data):
        shift = b - a
        common = [cut for cut in ours.within(a, a + size) if cut + shift in theirs.starts]
        for left, right in pairwise(common):
            one, other = ours.span(left, right), theirs.span(left + shift, right + shift)
            if one is not None and other is not None:
                groups.append(Group(one, other))
    return groups


class _Cuts:
    """Where each token begins, as offsets in the bytes of all; tokens without bytes are passed over."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.data = b"".join(pieces)
        self.solid = [i for i, piece in enumerate(pieces) if piece]
        self.offsets = [0, *accumulate(len(pieces[i]) for i in self.solid)]
        self.starts = {offset: n for n, offset in enumerate(self.offsets)}

    def within(self, start: int, end: int) -> list[int]:
        """Return the boundaries from `start` to `end`, both included."""
        return self.offsets[bisect_left(self.offsets, start) : bisect_right(self.offsets, end)]

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the tokens between two boundaries; None where one without bytes lies among them."""
        first, last = self.solid[self.starts[start]], self.solid[self.starts[end] - 1]
        return (first, last + 1) if last - first == self.starts[end] - 1 - self.starts[start] else None


def _agreeing(a: bytes, b: bytes) -> list[tuple[int, int, int]]:
    """Return stretches (start in a, start in b, length) in which two texts agree, in order, none overlapping.

    A difference is local: after it the nearest place is looked for where the texts go on alike.
    """
    out = []
    i = j = 0
    while i < len(a) and j < len(b):
        size = _run(a, i, b, j)
        if size:
            out.append((i, j, size))
            i, j = i + size, j + size
        found = _in_step(a, i, b, j)
        if found is None:
            break
        i, j = found
    return out


def _run(a: bytes, i: int, b: bytes, j: int) -> int:
    """Return how many bytes from i in a and from j in b are the same."""
    most = min(len(a) - i, len(b) - j)
    if a[i : i + most] == b[j : j + most]:
        return most
    low, high = 0, most  # the first `low` bytes agree, the first `high` do not
    while high - low > 1:
        middle = (low + high) // 2
        if a[i + low : i + middle] == b[j + low : j + middle]:
            low = middle
        else:
            high = middle
    return low


def _in_step(a: bytes, i: int, b: bytes, j: int) -> tuple[int, int] | None:
    """Return the nearest places from i and j from which the texts agree for a while or to the end of both."""
    for skipped in range(1, 2 * AHEAD + 1):
        # Equal steps first: what was replaced is most often as long as what replaced it.
        steps = range(max(0, skipped - AHEAD), min(skipped, AHEAD) + 1)
        for step in sorted(steps, key=lambda step: abs(2 * step - skipped)):
            x, y = i + step, j + skipped - step
            piece = a[x : x + AGREES]
            if piece and piece == b[y : y + AGREES] and (len(piece) == AGREES or len(a) - x == len(b) - y):
                return x, y
    return None
