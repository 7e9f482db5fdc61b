"""How alike two records are: some numbers a column, and some over all columns together.

Source: the similarities of Magellan (Konda et al. 2016, section 5): edit-based, token-based and numeric ones for each
column. Those over all columns help where values stand in the wrong column.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.compete.entities.match.pairs import Pair, Record
from pilotfish.compete.entities.names import normalised

__all__ = ["COLUMN", "WHOLE", "Similarities"]

COLUMN = ("ratio", "token set", "start", "words", "number", "one missing")
WHOLE = ("token sort", "token set", "words", "rare words", "codes")
Floats = NDArray[np.float64]
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_CODE = re.compile(r"\w*\d\w*")


class Similarities:
    """Turns pairs into numbers.

    Args:
        columns: that are compared one by one: those that both records have.
        idf: of words, which those over all columns go by; a word that is not in it counts as the rarest.
    """

    def __init__(self, columns: Sequence[str], idf: Mapping[str, float]) -> None:
        self.columns, self.idf = list(columns), dict(idf)
        self._rarest = max(self.idf.values(), default=1.0)

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> Similarities:
        """Learn from pairs which columns there are, and how rare words are."""
        columns = list(dict.fromkeys(name for pair in pairs for name in pair.left if name in pair.right))
        records = {tuple(sorted(one.items())) for pair in pairs for one in (pair.left, pair.right)}
        counts = Counter(word for record in records for word in set(_words(" ".join(value for _, value in record))))
        return cls(columns, {word: math.log1p(len(records) / count) for word, count in counts.items()})

    @property
    def names(self) -> list[str]:
        """What each number is."""
        return [f"{column}: {one}" for column in self.columns for one in COLUMN] + [f"record: {one}" for one in WHOLE]

    def __call__(self, pairs: Sequence[Pair]) -> Floats:
        """Return (pairs, numbers); NaN where a value is missing on either side."""
        found = np.full((len(pairs), len(self.names)), np.nan)
        for row, pair in enumerate(pairs):
            told: list[float] = []
            for column in self.columns:
                told += _column(pair.left.get(column, ""), pair.right.get(column, ""))
            found[row] = told + self._whole(pair.left, pair.right)
        return found

    def _whole(self, left: Record, right: Record) -> list[float]:
        fuzz = need("rapidfuzz.fuzz", "entities")
        one, other = (normalised(" ".join(record.values())) for record in (left, right))
        a, b = set(one.split()), set(other.split())
        codes = set(_CODE.findall(one)), set(_CODE.findall(other))
        return [
            fuzz.token_sort_ratio(one, other) / 100,
            fuzz.token_set_ratio(one, other) / 100,
            _shared(a, b),
            self._cosine(a, b),
            _shared(*codes) if all(codes) else math.nan,
        ]

    def _cosine(self, one: set[str], other: set[str]) -> float:
        def length(words: set[str]) -> float:
            return math.sqrt(sum(self.idf.get(word, self._rarest) ** 2 for word in words))

        both = sum(self.idf.get(word, self._rarest) ** 2 for word in one & other)
        whole = length(one) * length(other)
        return both / whole if whole else 0.0


def _column(left: str, right: str) -> list[float]:
    """Return the numbers of a column's two values."""
    fuzzy = need("rapidfuzz", "entities")
    one, other = normalised(left), normalised(right)
    if not one or not other:
        return [math.nan] * (len(COLUMN) - 1) + [float(bool(one) != bool(other))]
    return [
        fuzzy.fuzz.ratio(one, other) / 100,
        fuzzy.fuzz.token_set_ratio(one, other) / 100,
        fuzzy.distance.JaroWinkler.normalized_similarity(one, other),
        _shared(set(one.split()), set(other.split())),
        _near(left, right),
        0.0,
    ]


def _near(left: str, right: str) -> float:
    """Return how near two numbers are, by the larger; NaN where a value holds none, or several."""
    found = [_NUMBER.findall(text) for text in (left, right)]
    if any(len(numbers) != 1 for numbers in found):
        return math.nan
    a, b = (float(numbers[0].replace(",", "")) for numbers in found)
    largest = max(abs(a), abs(b))
    return 1.0 - min(1.0, abs(a - b) / largest) if largest else 1.0


def _shared(one: set[str], other: set[str]) -> float:
    """Return the share of two sets that both have (Jaccard); 0 of nothing."""
    return len(one & other) / len(one | other) if one | other else 0.0


def _words(text: str) -> list[str]:
    return normalised(text).split()
