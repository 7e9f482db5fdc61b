"""As much of a text as fits a budget, to the token: units by their priority, counted as the target counts them.

Token counts of parts do not add up (the tokenizer joins what stands side by side), so every count here is of the whole
text as it would be sent. How many units fit is found by a search that keeps one count within the budget and one beyond
it; the unit that crosses is then cut to the character. Nothing is assumed about the tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.prompt.compress.result import joined
from pilotfish.prompt.compress.units import Span, glue, lengths_of

__all__ = ["Kept", "Units", "fitted"]

_ROUNDS = 48  # units tried to fill what is left
_FURTHER = 3  # of them once a single token is left: it often fits somewhere
_NEAR = 1  # token below the budget that will do


@dataclass(frozen=True)
class Units:
    """What of a text can be kept or dropped.

    Attributes:
        text: the text.
        spans: the units, in order, apart.
        priority: (units,) the larger the sooner kept.
        whole: (units,) of which no part may be kept alone.
        locked: (units,) that are kept whatever comes.
    """

    text: str
    spans: Sequence[Span]
    priority: NDArray[np.float64]
    whole: NDArray[np.bool_]
    locked: NDArray[np.bool_]


@dataclass(frozen=True)
class Kept:
    """What was kept.

    Attributes:
        spans: of the text.
        size: of what was kept.
        lost: the whole units that were dropped or cut.
        counted: counts of the whole text.
    """

    spans: tuple[Span, ...]
    size: int
    lost: tuple[Span, ...]
    counted: int


def fitted(units: Units, budget: int, count: Callable[[str], int]) -> Kept:
    """Return what fits: never more than the budget, and one token less at most.

    Less than that is left of a text only where each character that could be added is two tokens or more.

    Args:
        units: of a text that is longer than the budget.
        budget: at least 1.
        count: of a text.

    Raises:
        DataError: what is locked alone is longer than the budget.
    """
    return _Fitting(units, budget, count).go()


@dataclass
class _Fitting:
    units: Units
    budget: int
    count: Callable[[str], int]
    kept: NDArray[np.bool_] = field(init=False)
    cut: dict[int, Span] = field(default_factory=dict)  # units of which a part is kept
    size: int = 0
    counted: int = 0
    between: dict[Span, Span] = field(default_factory=dict)

    def go(self) -> Kept:
        units = self.units
        self.kept = units.locked.copy()
        self.size = self._sized(self.kept)
        if self.size > self.budget:
            raise DataError(f"what is kept word by word is {self.size} long, of a budget of {self.budget}: raise it")
        weights = lengths_of(units.spans)
        order = np.lexsort((np.arange(len(units.spans)), -units.priority))
        order = order[~self.kept[order]]
        for last in (False, True):
            self._fill(order, weights, last)
            if self._done():
                break
            # Nothing else is left to fill with: what was to stay whole is cut.
            order = order[~self.kept[order]]
        spans = joined(self._spans(self.kept, self.cut))
        if not self._done():
            spans = self._grown(spans)
        lost = [units.spans[i] for i in np.flatnonzero(units.whole & ~self.kept).tolist()]
        return Kept(spans, self.size, tuple(lost), self.counted)

    def _done(self) -> bool:
        return self.budget - self.size <= _NEAR

    def _fill(self, order: NDArray[np.int64], weights: NDArray[np.float64], cuttable: bool) -> None:
        units = self.units
        near = 0
        for _ in range(_ROUNDS):
            near += self._done()
            if self.size == self.budget or near > _FURTHER or not len(order):
                return
            taken = self._most(order, weights)
            self.kept[order[:taken]] = True
            if self.size == self.budget or taken == len(order):
                return
            crossing = int(order[taken])
            if (cuttable or not units.whole[crossing]) and crossing not in self.cut:
                self._part(crossing)
            order = np.array([i for i in order[taken + 1 :].tolist() if self._may(i, cuttable)], np.int64)

    def _may(self, unit: int, cuttable: bool) -> bool:
        """Say whether a unit, or its first character, is worth a try: alone it is no longer than what is left."""
        start, end = self.units.spans[unit]
        # One character is many tokens only where it is none of the common ones.
        if (cuttable or not self.units.whole[unit]) and self.units.text[start] < "\u0250":
            return True
        stretch = self.units.text[start : start + 1 if cuttable or not self.units.whole[unit] else end]
        return self.count(stretch) <= self.budget - self.size + 1

    def _most(self, order: NDArray[np.int64], weights: NDArray[np.float64]) -> int:
        """Return how many of the next units fit such that one more would not, or all; their size becomes the size.

        By a secant on the weights, and by halves where that is slow.
        """
        sums = np.concatenate([[0.0], np.cumsum(weights[order])])
        low, high, low_size = 0, len(order) + 1, self.size
        rate = 1.0  # tokens for a unit's weight
        for turn in range(64):
            if high - low <= 1:
                break
            aim = sums[low] + (self.budget - low_size) / rate
            probe = int(np.searchsorted(sums, aim, side="right")) - 1
            if turn % 4 == 3:
                probe = (low + high) // 2
            if low_size == self.budget:
                probe = low + 1  # it may cost nothing, as a full stop does where words are counted
            probe = min(max(probe, low + 1), high - 1)
            kept = self.kept.copy()
            kept[order[:probe]] = True
            size = self._sized(kept)
            if size > low_size or size > self.budget:
                rate = max(0.05, (size - low_size) / max(sums[probe] - sums[low], 1.0))
            if size <= self.budget:
                low, low_size = probe, size
            else:
                high = probe
        self.size = low_size
        return low

    def _part(self, unit: int) -> None:
        """Keep as much of a unit's beginning as fits."""
        start, end = self.units.spans[unit]
        low, high, low_size = 0, end - start, self.size
        kept = self.kept.copy()
        kept[unit] = True
        while high - low > 1 and self.budget - low_size > 0:
            middle = (low + high) // 2
            size = self._sized(kept, {**self.cut, unit: (start, start + middle)})
            if size <= self.budget:
                low, low_size = middle, size
            else:
                high = middle
        if low:
            self.cut[unit] = (start, start + low)
            self.kept = kept
            self.size = low_size

    def _grown(self, spans: tuple[Span, ...]) -> tuple[Span, ...]:
        """Return stretches that have grown by single characters, where every unit brought too much with it."""
        text = self.units.text
        for _ in range(_ROUNDS):
            ends = [0, *(end for _, end in spans)]
            starts = [*(start for start, _ in spans), len(text)]
            gaps = [gap for gap in zip(ends, starts, strict=True) if gap[0] < gap[1]]
            for end, start in gaps[: _ROUNDS // 2]:
                # A stretch before the gap grows to the right, the one behind it to the left.
                steps = ([(end, end + 1)] if end else []) + ([(start - 1, start)] if start < len(text) else [])
                sizes = [(self._counted(joined([*spans, step])), step) for step in steps]
                fits = [one for one in sizes if self.size < one[0] <= self.budget]
                if fits:
                    self.size, step = max(fits)
                    spans = joined([*spans, step])
                    break
            else:
                return spans
            if self._done():
                return spans
        return spans

    def _sized(self, kept: NDArray[np.bool_], cut: dict[int, Span] | None = None) -> int:
        return self._counted(self._spans(kept, self.cut if cut is None else cut))

    def _counted(self, spans: Sequence[Span]) -> int:
        self.counted += 1
        text = self.units.text
        return self.count("".join(text[start:end] for start, end in spans)) if spans else 0

    def _spans(self, kept: NDArray[np.bool_], cut: dict[int, Span]) -> list[Span]:
        """Return the kept units and what stands between them."""
        text, spans = self.units.text, self.units.spans
        found: list[Span] = []
        before = -2
        for at in np.flatnonzero(kept).tolist():
            start, end = cut.get(at, spans[at]) if cut else spans[at]
            if found:
                last = found[-1][1]
                if at == before + 1 and (before not in cut):
                    found[-1] = (found[-1][0], end)
                    before = at
                    continue
                between = self.between.get((last, start))
                if between is None:
                    between = self.between[last, start] = glue(text, last, start)
                if between[0] < between[1] and not (text[last - 1].isspace() or text[start].isspace()):
                    found.append(between)
            found.append((start, end))
            before = at
        return found
