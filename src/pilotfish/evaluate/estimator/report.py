"""What a taught evaluator learnt from, and how it judges rows that it has not seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pilotfish.measure.intervals import Interval

__all__ = ["Learnt"]


@dataclass(frozen=True)
class Learnt:
    """What an evaluator learnt.

    Attributes:
        rows: that it learnt from.
        held_out: rows of other groups, kept back.
        pearson, spearman: with people on those, groups drawn again; None where people tell too little apart there.
        penalty: of the linear regressor; None where the encoder was tuned.
        steps: of that tuning.
    """

    rows: int
    held_out: int
    pearson: Interval | None
    spearman: Interval | None
    penalty: float | None = None
    steps: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Learnt:
        """Read what `to_json` gave."""
        ends = {name: None if told[name] is None else Interval(**told[name]) for name in ("pearson", "spearman")}
        return cls(**{**told, **ends})

    def __str__(self) -> str:
        how = f"penalty {self.penalty:g}" if self.penalty is not None else f"{self.steps or 0:,} steps"
        if self.pearson is None or self.spearman is None:
            return f"{self.rows:,} rows, {how}; nothing to tell of the {self.held_out:,} that were kept back"
        return (
            f"{self.rows:,} rows, {how}; on {self.held_out:,} others Pearson {self.pearson:.3f}, "
            f"Spearman {self.spearman:.3f}"
        )
