"""How a teacher's answers became training rows: what was asked, what came, what was kept, and what it cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from pilotfish.rows._row import Row
from pilotfish.rows.asking import Bill

__all__ = ["Gathered", "Taught"]


@dataclass
class Gathered:
    """How a teacher's answers came together.

    Attributes:
        rows: source rows.
        refused: kind of reason -> rows that gave no question.
        questions: questions, several a row where samples were asked for.
        unanswered: kind of reason -> questions without an answer.
        again: how many of those another run would ask again, because the endpoint failed.
        answers: answers that came.
        dropped: reason -> answers that were dropped.
        kept: answers that were kept.
        kept_rows: source rows with at least one of them.
        made: training rows.
        bill: what all calls took, the judge's too, over all sessions.
    """

    rows: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    questions: int = 0
    unanswered: Counter[str] = field(default_factory=Counter)
    again: int = 0
    answers: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    kept: int = 0
    kept_rows: int = 0
    made: int = 0
    bill: Bill = field(default_factory=Bill)

    @property
    def kept_ratio(self) -> float | None:
        """The share of the answers that was kept; None without any."""
        return self.kept / self.answers if self.answers else None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        told = {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}
        return {**told, "bill": asdict(self.bill), "kept_ratio": self.kept_ratio}

    def __str__(self) -> str:
        cost = "cost unknown" if self.bill.cost is None else f"${self.bill.cost:,.4f}"
        text = f"{self.rows:,} rows, {self.questions:,} questions, {self.answers:,} answers, {self.kept:,} kept "
        text += f"({cost}, {self.bill.calls:,} calls)."
        for what, counts in (("not asked", self.refused), ("no answer", self.unanswered), ("dropped", self.dropped)):
            if counts:
                text += f" {what}: " + ", ".join(f"{n:,} {reason}" for reason, n in counts.most_common()) + "."
        return text + (f" Run again to ask the {self.again:,} that the endpoint failed on." if self.again else "")


@dataclass
class Taught:
    """Training rows and how they came.

    Attributes:
        rows: each has `messages`, what is learnt of them, `weight`, and the row it comes from as `source`.
        report: the counts.
    """

    rows: list[Row]
    report: Gathered
