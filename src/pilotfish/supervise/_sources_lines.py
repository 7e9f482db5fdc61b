"""The report of sources: one line a source, one for the label model, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.measure.intervals import Interval
from pilotfish.measure.report import Column, Report, Section, Table
from pilotfish.measure.votes import Label

__all__ = ["ModelLine", "SourceLine", "SourcesReport"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SourceLine:
    """One source.

    Attributes:
        name: what it is called.
        votes: how many it gave.
        coverage: the share of the rows that it votes on.
        overlap: the share of its votes on rows where another source votes too.
        conflict: the share of its votes that another source contradicts.
        says: the classes that it ever votes for; one alone makes it a rule for that class.
        estimated: its accuracy as the label model has it, without any gold rows of this report; None without a model.
        accuracy: its votes' true accuracy on gold rows it votes on, soft ones by the share of the true class; None
            where there are none.
        confusion: (true, voted) votes on gold rows, soft ones by their shares.
    """

    name: str
    votes: int
    coverage: float
    overlap: float
    conflict: float
    says: tuple[Label, ...]
    estimated: float | None
    accuracy: Interval | None
    confusion: Floats

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return {
            "name": self.name,
            "votes": self.votes,
            "coverage": self.coverage,
            "overlap": self.overlap,
            "conflict": self.conflict,
            "says": list(self.says),
            "estimated": self.estimated,
            "accuracy": None if self.accuracy is None else self.accuracy.to_json(),
            "confusion": self.confusion.tolist(),
        }


@dataclass(frozen=True, slots=True)
class ModelLine:
    """A label model on gold rows that it was not given.

    Attributes:
        kind: which.
        coverage: the share of the gold rows with a vote; the other numbers are of those.
        accuracy: a tie counts as one over the classes that lead.
        majority: majority's accuracy on the same rows.
        ties: rows on which several classes lead.
        ece: the calibration error of the likeliest class.
        brier: the Brier score, 0 to 2.
    """

    kind: str
    coverage: float
    accuracy: Interval
    majority: Interval
    ties: int
    ece: float
    brier: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        plain = {name: getattr(self, name) for name in ("kind", "coverage", "ties", "ece", "brier")}
        return plain | {"accuracy": self.accuracy.to_json(), "majority": self.majority.to_json()}


@dataclass(frozen=True, slots=True)
class SourcesReport:
    """All of them.

    Attributes:
        classes: the labels.
        rows: how many.
        votes: how many.
        gold: rows whose truth is known to this report.
        coverage: the share of the rows with a vote.
        overlap: the share of the rows with two votes or more.
        conflict: the share of the rows on which sources contradict one another.
        sources: in the votes' order.
        model: None without a model or gold rows.
    """

    classes: tuple[Label, ...]
    rows: int
    votes: int
    gold: int
    coverage: float
    overlap: float
    conflict: float
    sources: tuple[SourceLine, ...]
    model: ModelLine | None

    @property
    def estimation_error(self) -> float | None:
        """The mean distance of estimated and true accuracy, weighted by gold votes; None where there are not both."""
        known = [
            (abs(one.estimated - one.accuracy.value), one.accuracy.n)
            for one in self.sources
            if one.estimated is not None and one.accuracy is not None
        ]
        total = sum(n for _, n in known)
        return sum(gap * n for gap, n in known) / total if total else None

    @property
    def misjudged(self) -> list[str]:
        """The sources whose estimated accuracy lies outside the interval of their true one."""
        return [
            one.name
            for one in self.sources
            if one.estimated is not None and one.accuracy is not None and not one.accuracy.contains(one.estimated)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        names = ("rows", "votes", "gold", "coverage", "overlap", "conflict", "estimation_error", "misjudged")
        return {
            "classes": list(self.classes),
            **{name: getattr(self, name) for name in names},
            "sources": [one.to_json() for one in self.sources],
            "model": None if self.model is None else self.model.to_json(),
        }

    def table(self) -> Table:
        """Return the sources as a table of a report page."""
        columns = [
            Column("Source"),
            *(Column(title, "right", ".1%") for title in ("Coverage", "Overlap", "Conflict")),
            Column("Says"),
            Column("Accuracy, estimated", "right", ".3f"),
            Column("Accuracy, true", "right", ".3f", help="on gold rows, 95% interval"),
        ]
        rows = [
            [
                one.name,
                one.coverage,
                one.overlap,
                one.conflict,
                ", ".join(map(str, one.says)),
                one.estimated,
                one.accuracy,
            ]
            for one in self.sources
        ]
        return Table(columns, rows, "Sources: overlap and conflict are shares of a source's own votes.")

    def page(self) -> Report:
        """Return a document for the terminal or as HTML (see `pilotfish.measure.report`)."""
        verdict = f"{self.votes:,} votes of {len(self.sources):,} sources on {self.coverage:.1%} of {self.rows:,} rows."
        return Report(
            "What are the sources worth?", f"{verdict} {self._said()}".strip(), [Section("Sources", [self.table()])]
        )

    def _said(self) -> str:
        if self.model is None:
            return ""
        one = self.model
        return (
            f"{one.kind} is right on {one.accuracy:.3f} of {one.accuracy.n:,} gold rows (majority {one.majority:.3f}), "
            f"calibration error {one.ece:.3f}, {one.ties:,} ties."
        )

    def __str__(self) -> str:
        wide = max([6, *(len(one.name) for one in self.sources)])
        lines = [
            f"{self.rows:,} rows, {self.votes:,} votes: coverage {self.coverage:.1%}, overlap {self.overlap:.1%}, "
            f"conflict {self.conflict:.1%}; {self.gold:,} gold rows",
            f"{'source':<{wide}}  coverage  overlap  conflict  estimated  true accuracy",
        ]
        for one in self.sources:
            estimated = "-" if one.estimated is None else f"{one.estimated:.3f}"
            true = "-" if one.accuracy is None else f"{one.accuracy:.3f}"
            shares = f"{one.coverage:8.1%}  {one.overlap:7.1%}  {one.conflict:8.1%}"
            lines.append(f"{one.name:<{wide}}  {shares}  {estimated:>9}  {true}")
        return "\n".join([*lines, *([self._said()] if self.model else [])])
