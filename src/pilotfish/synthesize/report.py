"""What a synthesis made: how much was raw, how much was kept, and why the rest was not."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from pilotfish.rows.asking import Bill

__all__ = ["Synthesized"]


@dataclass(frozen=True)
class Synthesized:
    """What a synthesis made.

    Attributes:
        folder: where it is.
        recipe: the recipe's name and settings.
        checks: the checks' names and settings, in order.
        model: who was asked.
        templates: name and version of a template -> prompts written by it.
        wanted: rows that were wanted; None for as many as come.
        prompts: questions, over all rounds.
        raw: rows read out of replies.
        kept: rows that passed.
        rejected: kind of reason -> rows, or replies of which no row could be read.
        again: questions that another run would ask again.
        rounds: rounds that were asked.
        ended: why it ended.
        asked: calls made in this session.
        stored: answers taken from earlier sessions.
        bill: what all calls took, earlier sessions included.
        seed: of all that was drawn.
        findings: what the recipe has found out on the way: of labels, how right they are on gold rows.
    """

    folder: str
    recipe: dict[str, Any]
    checks: list[dict[str, Any]]
    model: str
    templates: dict[str, int]
    wanted: int | None
    prompts: int
    raw: int
    kept: int
    rejected: dict[str, int]
    again: int
    rounds: int
    ended: str
    asked: int
    stored: int
    bill: Bill
    seed: int
    findings: dict[str, Any] = field(default_factory=dict)

    @property
    def kept_ratio(self) -> float:
        """The share of raw rows that was kept; 0 without any."""
        return self.kept / self.raw if self.raw else 0.0

    @property
    def whole(self) -> bool:
        """Whether there are as many rows as were wanted."""
        return self.wanted is None or self.kept >= self.wanted

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        cost = "cost unknown" if self.bill.cost is None else f"${self.bill.cost:,.4f}"
        wanted = "" if self.wanted is None else f" of {self.wanted:,} wanted"
        told = (
            f"{self.folder}: {self.kept:,}{wanted} rows kept, {self.raw:,} raw, of {self.prompts:,} prompts "
            f"({self.asked:,} asked now, {self.stored:,} before; {cost})"
        )
        for reason, count in sorted(self.rejected.items(), key=lambda one: -one[1]):
            told += f"; {count:,} {reason}"
        return told if self.ended == "done" else f"{told}; {self.ended}"
