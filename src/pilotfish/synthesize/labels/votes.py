"""What a run's folder says of rows: their labels, how sure, and how the votes fell."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.rows._row import Row
from pilotfish.synthesize.labels.kind import Kind
from pilotfish.synthesize.labels.labelling import UNSURE
from pilotfish.synthesize.make import REJECTS, ROWS

__all__ = ["Labelled", "labelled", "shares_of"]


@dataclass(frozen=True)
class Labelled:
    """A row as a run left it.

    Attributes:
        number: of the row in the file of rows, from 0.
        row: its own columns.
        value: the label, as it stands in a row; None where no answer could be read.
        confidence: None where there is none.
        votes: value and share each.
        kept: whether it is among the rows.
        reason: why it is not.
    """

    number: int
    row: Row
    value: Any = None
    confidence: float | None = None
    votes: tuple[tuple[Any, float], ...] = ()
    kept: bool = True
    reason: str = ""

    @property
    def unsure(self) -> bool:
        """Whether its label is below the threshold."""
        return self.reason.partition(":")[0] == UNSURE


def labelled(folder: Path, into: str) -> list[Labelled]:
    """Return all rows of a run, in the order of their file.

    Raises:
        DataError: there is no run of labels in the folder.
    """
    found = [*_read(folder / ROWS, into, True), *_read(folder / REJECTS, into, False)]
    return sorted(found, key=lambda one: one.number)


def shares_of(kind: Kind, rows: int, found: Sequence[Labelled]) -> NDArray[np.float64]:
    """Return (rows, classes) of votes, NaN where none fell.

    Where labels are no classes, (rows, 2): from even, of no confidence, to one alone, of full confidence.
    """
    if kind.classes is None:
        sure = np.full((rows, 2), np.nan)
        for one in found:
            if one.confidence is not None:
                sure[one.number] = (0.5 + one.confidence / 2, 0.5 - one.confidence / 2)
        return sure
    shares = np.full((rows, len(kind.classes)), np.nan)
    for one in found:
        if one.votes:
            given = dict(one.votes)
            shares[one.number] = [given.get(name, 0.0) for name in kind.classes]
    return shares


def _read(path: Path, into: str, kept: bool) -> Iterator[Labelled]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}): run `pilotfish synthesize` first") from None
    names = (into, f"{into}_confidence", f"{into}_votes", f"{into}_said", "synthesis")
    for line in lines:
        told = json.loads(line)
        origin, raw = told["synthesis"], told if kept else told["raw"]
        if origin.get("recipe") != "labels" or "row" not in origin["facts"]:
            raise DataError(f"{path}: these are no rows that a model has labelled")
        votes = tuple((one["value"], one["share"]) for one in raw.get(f"{into}_votes", ()))
        row = {name: value for name, value in raw.items() if name not in names}
        yield Labelled(
            int(origin["facts"]["row"]),
            row,
            raw.get(into),
            raw.get(f"{into}_confidence"),
            votes if all(isinstance(value, str | float | int) for value, _ in votes) else (),
            kept,
            "" if kept else told["reason"],
        )
