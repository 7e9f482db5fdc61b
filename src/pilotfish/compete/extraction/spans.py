"""Where the values of fields stand in a text, and tags of its words that say so.

Source: Ramshaw and Marcus 1995 (Text Chunking using Transformation-Based Learning): begin, inside, outside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["OUT", "Found", "Place", "found_in", "labelled", "read_out"]

OUT = 0
Place = tuple[int, int]


@dataclass(frozen=True)
class Found:
    """Where values stand.

    Attributes:
        places: (field, start, end), in the order of the text; none lies over another.
        missing: values that the text does not have as they are written.
    """

    places: tuple[tuple[str, int, int], ...]
    missing: int


def found_in(text: str, values: Mapping[str, Any]) -> Found:
    """Find the values of fields in a text: whole words, as they are written, else without regard to case.

    Every place of a value counts. Where two lie over each other the longer one stands.

    Args:
        text: that is read.
        values: field -> a text, a list of texts, or nothing.
    """
    spans: list[tuple[str, int, int]] = []
    missing = 0
    for field, value in values.items():
        held = value if isinstance(value, list | tuple) else [value]
        for one in held:
            if one is None or not str(one).strip():
                continue
            pattern = r"(?<!\w)" + re.escape(str(one).strip()) + r"(?!\w)"
            at = [match.span() for match in re.finditer(pattern, text)]
            at = at or [match.span() for match in re.finditer(pattern, text, re.IGNORECASE)]
            missing += not at
            spans += [(field, start, end) for start, end in at]
    chosen: list[tuple[str, int, int]] = []
    for span in sorted(set(spans), key=lambda one: (one[1] - one[2], one[1])):
        if all(span[2] <= other[1] or span[1] >= other[2] for other in chosen):
            chosen.append(span)
    return Found(tuple(sorted(chosen, key=lambda one: one[1])), missing)


def labelled(words: Sequence[Place], found: Found, fields: Sequence[str]) -> list[int]:
    """Return the tag of each word: 0 for none, 1 + 2i where a value of field i begins, 2 + 2i where it goes on.

    Args:
        words: where they stand.
        found: where values stand.
        fields: in order.
    """
    tags = [OUT] * len(words)
    for field, start, end in found.places:
        first = True
        for number, (a, b) in enumerate(words):
            if a < end and b > start:
                tags[number] = 1 + 2 * fields.index(field) + (not first)
                first = False
    return tags


def read_out(text: str, words: Sequence[Place], tags: Sequence[int], fields: Sequence[str]) -> dict[str, Any]:
    """Return the values that tags say: a text, a list of several different ones, or None; see `labelled`.

    A word that goes on where nothing began begins.
    """
    values: dict[str, list[str]] = {field: [] for field in fields}
    start = end = -1
    now = -1

    def close() -> None:
        if now >= 0:
            said = text[start:end]
            if said not in values[fields[now]]:
                values[fields[now]].append(said)

    for (a, b), tag in zip(words, tags, strict=True):
        field = (tag - 1) // 2 if tag != OUT else -1
        if tag == OUT or field != now or tag % 2 == 1:
            close()
            start, now = a, field
        end = b
    close()
    return {field: None if not said else said[0] if len(said) == 1 else said for field, said in values.items()}
