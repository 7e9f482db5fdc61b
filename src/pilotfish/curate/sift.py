"""Stages that judge texts: a row is kept, or it is left out with the reason why."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilotfish.rows._row import Rows
from pilotfish.rows.stage import Outcome, Reject, Stage

__all__ = ["Dropped", "Judged", "Sift", "against"]


@dataclass(frozen=True, slots=True)
class Dropped(Reject):
    """Why a row is left out that is not bad, only not wanted.

    To a plain run it is a reject, so the row lies in `rejects.jsonl` with its reason; `curate` keeps such rows apart
    from those that are bad.

    Attributes:
        columns: what the judging found, as a score: the row that is kept aside has it too.
    """

    columns: Mapping[str, Any] = field(default_factory=dict)


# What is found of a text: columns to put into its row, or why it goes.
Judged = Mapping[str, Any] | Dropped


class Sift(Stage):
    """A stage that judges one column of text; a row without a text in it is bad.

    Attributes:
        text: the column.
    """

    text: str = "text"
    batch_size: int = 256

    @abstractmethod
    def judge(self, texts: Sequence[str]) -> Sequence[Judged]:
        """Return what is found of each text."""

    def process(self, rows: Rows) -> list[Outcome]:
        """Return each row with what was found, or why it goes."""
        there = [place for place, row in enumerate(rows) if isinstance(row.get(self.text), str)]
        found: list[Outcome] = [Reject(f"no text: {self.text!r} is {_kind(row, self.text)}") for row in rows]
        for place, judged in zip(there, self.judge([rows[place][self.text] for place in there]), strict=True):
            found[place] = judged if isinstance(judged, Dropped) else {**rows[place], **judged}
        return found


def against(rule: str, value: float, *, least: float | None = None, most: float | None = None) -> Dropped | None:
    """Return why a text goes whose value lies outside of its bounds; None where it lies inside or there are none."""
    if least is not None and value < least:
        return Dropped(f"{rule}: {value:.4g} against at least {least:g}")
    if most is not None and value > most:
        return Dropped(f"{rule}: {value:.4g} against at most {most:g}")
    return None


def _kind(row: Mapping[str, Any], column: str) -> str:
    return "missing" if column not in row else "null" if row[column] is None else type(row[column]).__name__
