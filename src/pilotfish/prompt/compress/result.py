"""A text in fewer tokens: what was kept of it, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pilotfish.prompt.compress.units import Span

__all__ = ["Compressed"]


@dataclass(frozen=True)
class Compressed:
    """What was kept of a text: stretches of it, word for word and in its order.

    Attributes:
        original: the text, whole.
        spans: what was kept of it, (start, end) in characters, in order, none touching the next.
        before: how long the original is.
        after: how long the text is.
        budget: how long it may be.
        unit: what these count: the target's tokens, or words, or characters.
        lost: protected stretches that did not fit, which are dropped or cut.
        read: tokens that small models read to decide.
        counted: how often the whole text was counted to meet the budget.
    """

    original: str
    spans: tuple[Span, ...]
    before: int
    after: int
    budget: int
    unit: str = "tokens"
    lost: tuple[Span, ...] = ()
    read: int = 0
    counted: int = 0

    @property
    def text(self) -> str:
        """What was kept, as one text."""
        return "".join(self.original[start:end] for start, end in self.spans)

    @property
    def rate(self) -> float:
        """The share that is left, from 0 to 1; 1 of nothing."""
        return self.after / self.before if self.before else 1.0

    @property
    def saved(self) -> int:
        """How much shorter it is."""
        return self.before - self.after

    @property
    def short(self) -> int:
        """How much of the budget is left unused though something was dropped."""
        return 0 if self.after == self.before else self.budget - self.after

    @property
    def dropped(self) -> tuple[Span, ...]:
        """What was dropped of the original."""
        ends = [0, *(end for _, end in self.spans)]
        starts = [*(start for start, _ in self.spans), len(self.original)]
        return tuple((end, start) for end, start in zip(ends, starts, strict=True) if end < start)

    def within(self, start: int, end: int) -> str:
        """Return what was kept of original[start:end], without the white space around it."""
        parts = [(max(start, first), min(end, last)) for first, last in self.spans if first < end and last > start]
        return "".join(self.original[first:last] for first, last in parts).strip()

    def original_span(self, start: int, end: int) -> Span:
        """Return the stretch of the original that text[start:end] was left of, what was dropped inside included.

        Raises:
            IndexError: no such place in the text.
        """
        if not 0 <= start < end <= len(self.text):
            raise IndexError(f"no characters {start} to {end} in a text of {len(self.text)}")
        return self._place(start), self._place(end - 1) + 1

    def restored(self, quote: str) -> str | None:
        """Return the words of the original that a quotation of the text stands for; None where it is no quotation."""
        at = self.text.find(quote) if quote else -1
        if at < 0:
            return None
        start, end = self.original_span(at, at + len(quote))
        return self.original[start:end]

    def to_json(self) -> dict[str, Any]:
        """Return text, spans and figures as plain data; with the original all else follows."""
        return {
            "text": self.text,
            "spans": [list(span) for span in self.spans],
            "before": self.before,
            "after": self.after,
            "budget": self.budget,
            "unit": self.unit,
            "rate": round(self.rate, 6),
            "lost": [list(span) for span in self.lost],
            "read": self.read,
        }

    def _place(self, at: int) -> int:
        """Return where a character of the text stands in the original."""
        for start, end in self.spans:
            if at < end - start:
                return start + at
            at -= end - start
        raise IndexError("behind the end of the text")


def joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return stretches in order, those that touch or overlap as one, empty ones left out."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return tuple(found)
