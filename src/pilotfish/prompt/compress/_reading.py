"""A text as a causal language model's tokens, and their losses: in one pass, or segment after segment.

Source: Jiang et al. 2023 (LLMLingua), section 3.3, equations 5 to 7: each segment is read behind what was kept of the
segments before it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ModelError
from pilotfish.models._tokens import start_token
from pilotfish.prompt.compress.units import Span

if TYPE_CHECKING:
    from pilotfish.models.reader import Reader

__all__ = ["Tokens", "Walk", "lead_of", "losses", "segments"]

_OVERLAP = 4  # one part in so many of a window has been read in the window before


@dataclass(frozen=True)
class Tokens:
    """A text's tokens.

    Attributes:
        ids: the tokens, no special ones.
        places: where each lies in the text.
        units: the unit that each belongs to, by number; white space goes with what follows it.
    """

    ids: list[int]
    places: list[Span]
    units: NDArray[np.int64]

    @classmethod
    def of(cls, tokenizer: Any, text: str, units: Sequence[Span]) -> Tokens:
        """Return the tokens of a text.

        Raises:
            ModelError: the tokenizer does not say where its tokens lie.
        """
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError("the small model's tokenizer does not tell where tokens lie; take one that is fast")
        told = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False)
        places = [(int(start), int(end)) for start, end in told["offset_mapping"]]
        ends = [end for _, end in units]
        owners = []
        for start, end in places:
            at = start
            while at < end - 1 and text[at].isspace():
                at += 1
            owners.append(min(bisect_right(ends, at), max(0, len(units) - 1)))
        return cls(list(told["input_ids"]), places, np.array(owners, np.int64))


def lead_of(tokenizer: Any, before: str = "") -> list[int]:
    """Return what stands before a text: the start token, and a text in front of a blank line."""
    if not before:
        return [start_token(tokenizer)]
    ids = tokenizer(before + "\n\n", add_special_tokens=False, verbose=False)["input_ids"]
    return [start_token(tokenizer), *ids]


def losses(reader: Reader, ids: Sequence[int], lead: Sequence[int], context: int) -> tuple[NDArray[np.float64], int]:
    """Return −log p of each token, in nats, and how many tokens were read: one pass over windows that overlap.

    Args:
        reader: who reads.
        ids: of the text.
        lead: what every window begins with.
        context: tokens of a window at most.
    """
    room = max(8, min(context, reader.max_length) - len(lead))
    overlap = room // _OVERLAP
    rows: list[tuple[list[int], int]] = []
    at = 0
    while at < len(ids):
        first = max(0, at - overlap) if at else 0
        end = min(len(ids), first + room)
        rows.append(([*lead, *ids[first:end]], len(lead) + at - first))
        at = end
    found = reader.logprobs(rows)
    whole = np.concatenate(found) if found else np.zeros(0)
    return -whole.astype(np.float64), sum(len(row) for row, _ in rows)


def segments(units: NDArray[np.int64], size: int) -> Iterator[tuple[int, int]]:
    """Yield segments of about so many tokens, (start, end); none ends within a unit unless that is longer."""
    at = 0
    while at < len(units):
        end = min(len(units), at + size)
        back = end
        while back < len(units) and back > at + size // 2 and units[back] == units[back - 1]:
            back -= 1
        if back > at + size // 2:
            end = back
        yield at, end
        at = end


@dataclass
class Walk:
    """Reads a text segment after segment, each behind what was kept of those before it.

    What was kept is read again before the next segment, since it was read among what was not kept; it is then held, so
    that no token is read more than twice. Or what it was when it was read is held, and no token is read twice.

    Attributes:
        reader: who reads.
        lead: what stands before all.
        context: tokens at most that a segment is read with, itself included; of a longer past the last are taken.
        again: whether what was kept is read again.
        read: tokens read so far.
    """

    reader: Reader
    lead: Sequence[int]
    context: int = 2048
    again: bool = True
    read: int = 0
    _kept: list[int] = field(default_factory=list)
    _prefix: Any = None
    _pending: list[int] = field(default_factory=list)  # to be read before the next segment
    _places: list[int] = field(default_factory=list)  # their positions
    _next: int = 0  # the position of the next segment
    _segment: list[int] = field(default_factory=list)
    _held: int = 0  # tokens of the prefix before the segment

    def step(self, ids: Sequence[int]) -> NDArray[np.float64]:
        """Return −log p of a segment's tokens, in nats."""
        if self._prefix is None:
            self._prefix = self.reader.prefix()
            self._begin(self.lead)
        most = min(self.context, self.reader.max_length)
        # Without reading again positions go on as in the text.
        if max(self._prefix.length + len(self._pending), self._next) + len(ids) > most:
            # A window that moves by one token would be read anew each time: it moves by half.
            room = max(0, most - len(ids) - len(self.lead)) // 2
            self._begin([*self.lead, *(self._kept[-room:] if room else [])])
        whole = [*self._pending, *ids]
        first = self._next
        places = [*self._places, *range(first, first + len(ids))]
        found = self._prefix.read(whole, len(self._pending), places)
        self.read += len(whole)
        self._held = self._prefix.length - len(ids)
        self._segment, self._next = list(ids), first + len(ids)
        return -np.asarray(found, np.float64)

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Say which tokens of the last segment are kept: (tokens,)."""
        some = [token for token, one in zip(self._segment, kept.tolist(), strict=True) if one]
        self._kept += some
        last = (self._pending[-1], self._places[-1])
        if self.again or not some:
            # The last token before the segment predicts what comes next, so it is read once more.
            self._prefix.keep(self._held - 1)
            self._pending, self._places = [last[0]], [last[1]]
            if self.again:
                self._pending += some
                self._places = list(range(last[1], last[1] + len(self._pending)))
                self._next = last[1] + len(self._pending)
            return
        at = [self._held + i for i in np.flatnonzero(kept).tolist()]
        self._prefix.select([*range(self._held), *at[:-1]])
        first = self._next - len(self._segment)
        self._pending, self._places = some[-1:], [first + at[-1] - self._held]

    def _begin(self, ids: Sequence[int]) -> None:
        """Forget what was read, and read these first."""
        self._prefix.keep(0)
        self._pending, self._places = list(ids), list(range(len(ids)))
        self._next = len(ids)
