"""What a stage did and what a run did, as data, as a table for the terminal, and as answers to questions."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["RunReport", "StageReport"]


@dataclass
class StageReport:
    """What one stage did since it was built.

    Attributes:
        stage: its name.
        rows_in: rows it took.
        rows_out: rows it gave.
        kept: rows it took that gave at least one row.
        rejected: rows it took that went to the rejects.
        seconds: wall time in which it was at work, time side by side counted once.
        reasons: kind of reason -> rejected rows.
        totals: sums that the stage keeps itself, as tokens and dollars.
    """

    stage: str
    rows_in: int = 0
    rows_out: int = 0
    kept: int = 0
    rejected: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    totals: dict[str, float] = field(default_factory=dict)

    @property
    def dropped(self) -> int:
        """Rows that were filtered out on purpose."""
        return self.rows_in - self.kept - self.rejected

    @property
    def kept_ratio(self) -> float | None:
        """The share of rows that gave at least one row; None before the first row."""
        return self.kept / self.rows_in if self.rows_in else None

    @property
    def rows_per_second(self) -> float | None:
        """Rows taken a second of work; None before the first row."""
        return self.rows_in / self.seconds if self.seconds else None

    def add(self, key: str, amount: float) -> None:
        """Add to one of the stage's own totals."""
        self.totals[key] = self.totals.get(key, 0.0) + amount

    def take(self, other: StageReport) -> None:
        """Add what the same stage did in another process; seconds are then those of all, side by side or not."""
        for name in ("rows_in", "rows_out", "kept", "rejected", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.reasons.update(other.reasons)
        for key, amount in other.totals.items():
            self.add(key, amount)

    def to_json(self) -> dict[str, Any]:
        """Return counts and ratios as plain data."""
        return {
            "stage": self.stage,
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "kept": self.kept,
            "dropped": self.dropped,
            "rejected": self.rejected,
            "kept_ratio": self.kept_ratio,
            "seconds": round(self.seconds, 3),
            "rows_per_second": None if self.rows_per_second is None else round(self.rows_per_second, 2),
            "reasons": dict(self.reasons),
            "totals": dict(self.totals),
        }

    def __rich__(self) -> Group:
        return _rendered([self])


@dataclass
class RunReport:
    """What a run did.

    The counts are over the whole output, whichever session made it; `stages` and `seconds` are of this session.

    Attributes:
        out_dir: the output folder.
        rows_in: rows read.
        rows_out: rows written.
        rejected: rows rejected by a stage.
        unread: rows that the reader rejected.
        again: rejected rows that another run would try anew, because an endpoint failed and not the row.
        resumed: rows found finished from an earlier session.
        shards: number of shards.
        seconds: wall time.
        reasons: kind of reason -> rows rejected by stages and reader.
        stages: one report a stage.
    """

    out_dir: str
    rows_in: int = 0
    rows_out: int = 0
    rejected: int = 0
    unread: int = 0
    again: int = 0
    resumed: int = 0
    shards: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    stages: list[StageReport] = field(default_factory=list)

    @property
    def all_rejected(self) -> bool:
        """True where rows came in and every one of them was rejected."""
        return self.rows_in > 0 and self.rejected >= self.rows_in

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "out_dir": self.out_dir,
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "rejected": self.rejected,
            "unread": self.unread,
            "again": self.again,
            "resumed": self.resumed,
            "shards": self.shards,
            "seconds": round(self.seconds, 3),
            "reasons": dict(self.reasons),
            "stages": [stage.to_json() for stage in self.stages],
        }

    def summary(self) -> str:
        """Return one or two sentences: what came out, what did not, and what to do about it."""
        text = f"{self.rows_in:,} rows in, {self.rows_out:,} out, in {self.seconds:,.1f} s: {self.out_dir}."
        if self.resumed:
            text += f" {self.resumed:,} were finished before."
        if lost := self.rejected + self.unread:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.reasons.most_common(3))
            text += f" {lost:,} rejected ({kinds}): see rejects.jsonl."
        if self.again:
            text += f" Run again to retry the {self.again:,} that the endpoint failed on."
        return text

    def __rich__(self) -> Group:
        return _rendered(self.stages, self.summary())


def _rendered(stages: list[StageReport], title: str = "") -> Group:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("stage", overflow="fold")
    for name in ("in", "out", "dropped", "rejected", "seconds", "rows/s"):
        table.add_column(name, justify="right", no_wrap=True)
    notes = []
    for stage in stages:
        counts = (stage.rows_in, stage.rows_out, stage.dropped, stage.rejected)
        rate = "" if stage.rows_per_second is None else f"{stage.rows_per_second:,.1f}"
        table.add_row(Text(stage.stage), *(f"{n:,}" for n in counts), f"{stage.seconds:,.1f}", rate)
        facts = [f"{key} {value:,.6g}" for key, value in stage.totals.items()]
        facts += [f"{count:,} rejected: {kind}" for kind, count in stage.reasons.most_common(3)]
        if facts:
            notes.append(Text(f"{stage.stage}: {', '.join(facts)}"))
    return Group(*([Text(title)] if title else []), table, *notes)


class Busy:
    """Adds to a report's seconds while at least one piece of work is going on; entered once for each."""

    def __init__(self, report: StageReport) -> None:
        self.report = report
        self.inside = 0
        self.since = 0.0

    def __enter__(self) -> None:
        if not self.inside:
            self.since = time.perf_counter()
        self.inside += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.inside -= 1
        if not self.inside:
            self.report.seconds += time.perf_counter() - self.since
