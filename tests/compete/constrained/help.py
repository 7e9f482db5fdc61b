"""Measurements and candidates that were made up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pilotfish.compete.constrained.candidate import Candidate
from pilotfish.compete.constrained.limits import Limits
from pilotfish.compete.constrained.measured import Measured
from pilotfish.compete.constrained.task import Sort, above, quality
from pilotfish.compete.constrained.way import Way

__all__ = ["candidate", "measured"]

MIB = 2**20


def measured(scores: Sequence[Sequence[float]] = ((1.0,),), **given: Any) -> Measured:
    """A measurement with what is given; all else is small."""
    usual: dict[str, Any] = {
        "cold_start": 1.0,
        "memory": 10 * MIB,
        "memory_single": 10 * MIB,
        "p50": 0.01,
        "p95": 0.02,
        "singles": 200,
        "rows_per_second": 100.0,
        "batch": 32,
        "joules": 0.1,
        "joules_batched": 0.05,
        "energy": "estimated",
        "energy_basis": "2 CPU seconds x 8 W a core",
        "disk": 5 * MIB,
    }
    return Measured(**{**usual, **given}, scores=[list(row) for row in scores])


def candidate(
    way: Way,
    right: Sequence[int],
    limits: Limits | None = None,
    *,
    reference: Sequence[int] | None = None,
    sort: Sort = "classes",
    model: str = "m",
    **given: Any,
) -> Candidate:
    """A candidate that gets some of its rows right."""
    found = measured([[float(one)] for one in right], **given)
    lost = None
    if reference is not None:
        lost = above(sort, found.table, measured([[float(one)] for one in reference]).table)
    worth = quality(sort, found.table)
    broken = tuple((limits or Limits()).broken(found))
    return Candidate(model, "encoder", "MIT", way, Path(), found, worth, lost, broken)
