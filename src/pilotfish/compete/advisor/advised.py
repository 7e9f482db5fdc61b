"""An advice of any kind of task: what was measured, what was found of every leaf, and the verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotfish.compete.advisor.leaves import Finding
    from pilotfish.compete.candidate import Candidate
    from pilotfish.compete.settings import Settings
    from pilotfish.compete.verdict import Verdict
    from pilotfish.measure.meters import Reading
    from pilotfish.measure.report import Gate, Section

__all__ = ["Advised"]


@dataclass
class Advised:
    """The advice.

    Attributes:
        title: of the report.
        measure: what a score is, for readers.
        candidates: that were measured on held-out rows, baselines first.
        contenders: the one of each family that the verdict is about.
        findings: one or more a leaf of the survey, in its order.
        rows: how many rows each part had, and further facts of the task, by name.
        notes: what was done with the rows.
        tables: tables of the collaboration file by their full names, such as "models.cascade".
        default: the model of the file that is the choice.
        answers: the held-out rows, each with what every candidate said.
        sections: of the report, beside those that every one has.
        details: further figures for advice.json.
        save: writes what the tables refer to into the output folder.
    """

    title: str
    measure: str
    settings: Settings
    candidates: list[Candidate]
    contenders: list[Candidate]
    verdict: Verdict
    findings: tuple[Finding, ...]
    gates: list[Gate]
    reading: Reading
    spent: float
    machine: Mapping[str, Any]
    rows: Mapping[str, Any]
    notes: Sequence[str] = ()
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    default: str = ""
    answers: Sequence[Mapping[str, Any]] = ()
    sections: Sequence[Section] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    save: Callable[[Path], None] = lambda folder: None

    @property
    def unit(self) -> str:
        """What costs are in: dollars, where any candidate takes some, else seconds."""
        return "USD" if any(one.dollars for one in self.candidates) else "seconds"

    @property
    def passed(self) -> bool:
        """Whether no hard gate failed."""
        return all(gate.status != "fail" for gate in self.gates)

    def to_json(self) -> dict[str, Any]:
        """Return the advice as plain data."""
        return {
            "verdict": self.verdict.to_json(),
            "gates": [{"name": gate.name, "status": gate.status, "text": gate.text} for gate in self.gates],
            "candidates": [one.to_json() for one in self.candidates],
            "survey": [one.to_json() for one in self.findings],
            "rows": {**self.rows, "notes": list(self.notes)},
            "settings": dataclasses.asdict(self.settings),
            "took": {**self.reading.to_json(), "usd": self.spent},
            "machine": dict(self.machine),
            **self.details,
        }
