"""What a search for an instruction found, and what it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pilotfish.measure.intervals import Interval
from pilotfish.rows.asking import Bill

__all__ = ["PromptReport", "Tried"]


@dataclass(frozen=True)
class Tried:
    """An instruction that was looked at.

    Attributes:
        prompt: the instruction.
        source: "present", "given", or "proposed".
        mean: of its scores on the rows to choose on; None where only a small model looked at it.
        rows: how many these are.
        proxy: the mean by the small model; None without one.
    """

    prompt: str
    source: str
    mean: float | None = None
    rows: int = 0
    proxy: float | None = None


@dataclass(frozen=True)
class PromptReport:
    """What came of a search.

    Attributes:
        present: the instruction there was.
        chosen: the one that won; the present one, it may be.
        tried: all that were looked at, the best first.
        chosen_on: rows that were chosen on.
        proved_on: other rows, kept back before anything was chosen, with answers under both instructions.
        before, after: the mean score there under the present and the chosen instruction.
        gain: the difference, paired by rows; None where the present one won.
        judged: judgements by the large model, of an instruction on a row, those of the proof included.
        spent: whether the budget ended the search, or left rows of the proof without answers.
        bills: who was asked -> what that took.
    """

    present: str
    chosen: str
    tried: tuple[Tried, ...]
    chosen_on: int
    proved_on: int
    before: Interval | None
    after: Interval | None
    gain: Interval | None
    judged: int
    spent: bool
    bills: Mapping[str, Bill] = field(default_factory=dict)

    @property
    def better(self) -> bool:
        """Whether the chosen instruction is better than the present one for sure, on rows that chose nothing."""
        return self.gain is not None and self.gain.low > 0

    @property
    def cost(self) -> float | None:
        """US dollars of all calls; None where a price is not known."""
        costs = [bill.cost for bill in self.bills.values()]
        return None if any(cost is None for cost in costs) else sum(cost for cost in costs if cost is not None)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {**asdict(self), "better": self.better, "cost": self.cost}

    def __str__(self) -> str:
        calls = sum(bill.calls for bill in self.bills.values())
        cost = "" if not self.cost else f", ${self.cost:,.4f}"
        took = f"{len(self.tried)} instructions, {calls:,} calls{cost}"
        if self.before is None:
            return f"{took}; the budget left no row to prove it on"
        if self.chosen == self.present or self.after is None or self.gain is None:
            return f"{took}; the present one wins: {_shown(self.before)} on {self.proved_on:,} rows kept back"
        word = "better" if self.better else "not better for sure"
        return (
            f"{took}; on {self.proved_on:,} rows kept back {_shown(self.before)} -> {_shown(self.after)}, "
            f"gain {_shown(self.gain)}: {word}"
        )


def _shown(one: Interval) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
