"""What a text shows without being understood: a baseline any router must beat, and features that help one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NAMES", "surface"]

NAMES = (
    "log characters",
    "log words",
    "log lines",
    "letters a word",
    "log longest word",
    "share of digits",
    "log numbers",
    "share of capitals",
    "share of signs",
    "share of code signs",
    "share beyond ASCII",
    "log questions",
    "log sentences",
    "share of different words",
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_CODE = frozenset("{}[]()<>=;_#|\\/*+`")


def surface(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return (texts, features): counts as log(1 + count), shares of characters between 0 and 1. See `NAMES`."""
    return np.array([_one(text) for text in texts], np.float64).reshape(len(texts), len(NAMES))


def _one(text: str) -> list[float]:
    words = text.split()
    size = max(1, len(text))
    signs = sum(not (letter.isalnum() or letter.isspace()) for letter in text)
    counts = np.log1p(
        [
            len(text),
            len(words),
            text.count("\n"),
            max(map(len, words), default=0),
            len(_NUMBER.findall(text)),
            text.count("?"),
            sum(text.count(end) for end in ".!?"),
        ]
    ).tolist()
    return [
        counts[0],
        counts[1],
        counts[2],
        sum(map(len, words)) / max(1, len(words)),
        counts[3],
        sum(letter.isdigit() for letter in text) / size,
        counts[4],
        sum(letter.isupper() for letter in text) / size,
        signs / size,
        sum(letter in _CODE for letter in text) / size,
        sum(not letter.isascii() for letter in text) / size,
        counts[5],
        counts[6],
        len({word.casefold() for word in words}) / max(1, len(words)),
    ]
