"""What teaching a student by preferences did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pilotfish.measure.intervals import Interval

__all__ = ["Preferred"]


@dataclass(frozen=True)
class Preferred:
    """What it did, measured on pairs that taught nothing.

    Attributes:
        student: the weights it began with.
        folder: the result's.
        pairs: pairs trained on.
        held_out: pairs measured on.
        refused: rows that gave no pair.
        steps: taken.
        seconds: spent.
        preferred: the share of held-out pairs whose chosen answer gained on the rejected one (a tie counts half; one
            half before), with its interval.
        margin: by how many nats on average.
    """

    student: str
    folder: str
    pairs: int
    held_out: int
    refused: int
    steps: int
    seconds: float
    preferred: Interval
    margin: Interval

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.folder}: {self.pairs} pairs, {self.steps} steps, {self.seconds:.0f} s; of {self.held_out} held-out "
            f"pairs {self.preferred.value:.1%} [{self.preferred.low:.1%}, {self.preferred.high:.1%}] moved towards the "
            f"chosen answer, by {self.margin.value:.2f} [{self.margin.low:.2f}, {self.margin.high:.2f}] nats"
        )
