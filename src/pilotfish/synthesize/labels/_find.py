"""Where words stand in a text: the k-th mention at the k-th place, overlaps found and settled."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Span", "flat", "located", "overlapping"]


@dataclass(frozen=True, order=True)
class Span:
    """A labelled part of a text: characters `start` up to, and without, `end`."""

    start: int
    end: int
    label: str
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def located(text: str, listed: Sequence[tuple[str, str]], *, every: bool) -> tuple[list[Span], list[str]]:
    """Return the spans of listed (words, label), in order, and the words that do not stand in the text.

    Words are looked for as whole words first, and inside of words where they stand nowhere else; then with any run of
    white space for a run of it, then whatever their case. A listing beyond the last place is of the last
    place, where it adds a label or nothing.

    Args:
        text: where to look.
        listed: as the answer has them.
        every: take every place of words; otherwise the k-th listing of the same words is the k-th place.
    """
    places: dict[str, list[tuple[int, int]]] = {}
    taken: dict[str, int] = defaultdict(int)
    found: set[Span] = set()
    missing: list[str] = []
    for words, label in listed:
        key = words.strip()
        if key not in places:
            places[key] = _places(text, key)
        if not places[key]:
            missing.append(words)
            continue
        which = places[key] if every else [places[key][min(taken[key], len(places[key]) - 1)]]
        taken[key] += 1
        found |= {Span(start, end, label, text[start:end]) for start, end in which}
    return sorted(found), missing


def _places(text: str, words: str) -> list[tuple[int, int]]:
    if not words:
        return []
    pattern = r"\s+".join(re.escape(part) for part in words.split())
    before = r"(?<!\w)" if re.match(r"\w", words) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", words) else ""
    for form, flags in (
        (before + re.escape(words) + after, 0),
        (before + pattern + after, 0),
        (pattern, 0),
        (before + pattern + after, re.IGNORECASE),
    ):
        found = [one.span() for one in re.finditer(form, text, flags)]
        if found:
            return found
    return []


def overlapping(spans: Sequence[Span]) -> list[tuple[Span, Span]]:
    """Return the pairs that share a character."""
    ordered = sorted(spans)
    found = []
    for i, one in enumerate(ordered):
        for other in ordered[i + 1 :]:
            if other.start >= one.end:
                break
            found.append((one, other))
    return found


def flat(spans: Sequence[Span]) -> list[Span]:
    """Return spans none of which overlap: the longer of two, the earlier of two as long."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start - one.end, one)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept)
