"""A way to run a model, with what was measured of it and which limits it breaks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilotfish.compete.constrained.limits import Broken
from pilotfish.compete.constrained.measured import Measured
from pilotfish.compete.constrained.way import Way
from pilotfish.measure.intervals import Interval

__all__ = ["Candidate", "Skipped"]


@dataclass(frozen=True)
class Candidate:
    """What was measured.

    Attributes:
        model: the name of the weights.
        kind: of them.
        licence: of them.
        way: runtime and precision.
        folder: the exported one.
        measured: what it takes and is worth.
        quality: with its 95% interval.
        lost: its quality minus that of the same weights in float32 on the same rows, paired; None for those themselves,
            and where float32 was not measured.
        broken: the limits it breaks, the worst first.
    """

    model: str
    kind: str
    licence: str
    way: Way
    folder: Path
    measured: Measured
    quality: Interval
    lost: Interval | None = None
    broken: tuple[Broken, ...] = field(default=())

    @property
    def name(self) -> str:
        """Unique in a fit."""
        return f"{self.model} {self.way}"

    @property
    def fits(self) -> bool:
        """Whether it keeps every limit."""
        return not self.broken

    def to_json(self) -> dict[str, Any]:
        """Return everything but the single rows' scores as plain data."""
        return {
            "name": self.name,
            "model": self.model,
            "kind": self.kind,
            "licence": self.licence,
            "runtime": self.way.runtime,
            "precision": self.way.precision,
            "quality": self.quality.to_json(),
            "lost": None if self.lost is None else self.lost.to_json(),
            "broken": [{"limit": one.name, "value": one.value, "allowed": one.limit} for one in self.broken],
            **self.measured.figures,
        }


@dataclass(frozen=True)
class Skipped:
    """A way that was not measured, and why: what to install, what the processor lacks, or what went wrong."""

    name: str
    why: str
    failed: bool = False
