"""How much of a text was edited, in words."""

from __future__ import annotations

import re

__all__ = ["edited_share"]

_TOKEN = re.compile(r"\w+|[^\w\s]")


def edited_share(before: str, after: str) -> float:
    """Return the Levenshtein distance of two texts' words and marks, over the length of the longer: from 0 to 1."""
    left, right = _TOKEN.findall(before), _TOKEN.findall(after)
    row = list(range(len(right) + 1))
    for i, one in enumerate(left, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(right, 1):
            cost = min(row[j] + 1, row[j - 1] + 1, diagonal + (one != other))
            diagonal, row[j] = row[j], cost
    return row[-1] / max(len(left), len(right), 1)
