"""Solved examples to choose from, and which of them are a question itself in other clothes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.rows._grams import hashed
from pilotfish.rows._row import need_columns
from pilotfish.rows._shingles import normalised

__all__ = ["Demonstration", "Pool"]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A solved example.

    Attributes:
        input: what was asked.
        output: the right answer.
    """

    input: str
    output: str


@dataclass(frozen=True)
class Pool:
    """Demonstrations, each once: one with the same input and output as an earlier one is left out.

    Two inputs are the same that agree after `rows.dedupe`'s normalisation: Unicode form, case, punctuation, spaces.

    Attributes:
        demonstrations: them.

    Raises:
        DataError: there are none.
    """

    demonstrations: tuple[Demonstration, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.demonstrations:
            raise DataError("there are no demonstrations to choose from")
        first: dict[tuple[str, str], Demonstration] = {}
        for one in self.demonstrations:
            first.setdefault((normalised(one.input), normalised(one.output)), one)
        object.__setattr__(self, "demonstrations", tuple(first.values()))
        object.__setattr__(self, "_keys", [key for key, _ in first])
        object.__setattr__(self, "_grams", {})

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], input: str = "input", output: str = "output") -> Pool:
        """Return the pool of rows.

        Args:
            rows: with a text in both columns.
            input: the column of what was asked.
            output: the column of the right answer.

        Raises:
            DataError: no rows, or one without a text in a column.
        """
        made = []
        for number, row in enumerate(rows, 1):
            need_columns(row, input, output, source=f"row {number}")
            for name in (input, output):
                if not isinstance(row[name], str) or not row[name].strip():
                    raise DataError(f"row {number}: column {name!r} has no text")
            made.append(Demonstration(row[input], row[output]))
        return cls(tuple(made))

    def __len__(self) -> int:
        return len(self.demonstrations)

    @property
    def inputs(self) -> list[str]:
        """What was asked, of each."""
        return [one.input for one in self.demonstrations]

    @property
    def outputs(self) -> list[str]:
        """The right answer, of each."""
        return [one.output for one in self.demonstrations]

    def same(self, text: str, places: Sequence[int], least: float = 1.0) -> NDArray[np.bool_]:
        """Return which demonstrations have a text for their input, or nearly so: (places,).

        Args:
            text: what is asked now.
            places: the demonstrations that are looked at.
            least: the Jaccard similarity of the sets of three letters from which on two texts are the same; at 1 they
                are that where they agree after normalisation.
        """
        keys: list[str] = self._keys  # type: ignore[attr-defined]
        key = normalised(text)
        found = np.array([keys[place] == key for place in places], bool)
        if least < 1:
            mine = _grams(key)
            for at, place in enumerate(places):
                if not found[at]:
                    theirs = self._known(place)
                    shared = len(mine & theirs)
                    found[at] = shared >= least * (len(mine) + len(theirs) - shared)
        return found

    def _known(self, place: int) -> frozenset[int]:
        grams: dict[int, frozenset[int]] = self._grams  # type: ignore[attr-defined]
        if place not in grams:
            grams[place] = _grams(self._keys[place])  # type: ignore[attr-defined]
        return grams[place]


def _grams(key: str) -> frozenset[int]:
    return frozenset(hashed([key], 3)[0].tolist())
