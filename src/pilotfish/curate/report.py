"""What curation did, step by step: what was kept, why the rest was not, and examples of both."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from pilotfish.rows._row import Row

__all__ = ["Curated", "StepReport", "Tally", "key_of"]

SAMPLES, SHORT, BINS = 3, 240, 20
_KINDS = 40  # kinds of reason with examples


@dataclass
class StepReport:
    """One step.

    Attributes:
        number: from 1, in the order in which they sift.
        title: the step's name.
        rows_in: rows that reached it.
        dropped: rows that it left out.
        rejected: rows that were bad to it.
        reasons: kind of reason -> rows left out.
        kept_samples: texts of rows that it let pass, shortened.
        dropped_samples: kind of reason -> {reason, text} of rows that it left out.
        scores: of a step that goes by a number from 0 to 1: {kept, dropped}, rows in each of 20 equal bins.
        counts: of a step that counts what it finds: kind -> how many, in kept and dropped rows.
    """

    number: int
    title: str
    rows_in: int = 0
    dropped: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    kept_samples: list[str] = field(default_factory=list)
    dropped_samples: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    scores: dict[str, list[int]] | None = None
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """Rows that it let pass."""
        return self.rows_in - self.dropped - self.rejected

    @property
    def kept_ratio(self) -> float:
        """The share of rows that it let pass; 1 where none reached it."""
        return self.kept / self.rows_in if self.rows_in else 1.0

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {**vars(self), "kept": self.kept, "kept_ratio": self.kept_ratio}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> StepReport:
        """Read what `to_json` gave."""
        return cls(**{name: value for name, value in told.items() if name not in ("kept", "kept_ratio")})


@dataclass(frozen=True)
class Curated:
    """What came of a curation.

    Attributes:
        out: the folder: kept.jsonl, dropped.jsonl, rejects.jsonl, report.json.
        rows_in: rows that were read.
        kept: rows in kept.jsonl.
        dropped: rows in dropped.jsonl.
        rejected: bad rows, in rejects.jsonl, those that could not be read among them.
        steps: one report a step.
        seconds: of this session.
        repeated: whether all was there already.
    """

    out: str
    rows_in: int
    kept: int
    dropped: int
    rejected: int
    steps: list[StepReport]
    seconds: float = 0.0
    repeated: bool = False

    @property
    def kept_ratio(self) -> float:
        """The share of the rows that is kept."""
        return self.kept / self.rows_in if self.rows_in else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        steps = [step.to_json() for step in self.steps]
        return {**vars(self), "seconds": round(self.seconds, 3), "kept_ratio": self.kept_ratio, "steps": steps}

    def summary(self) -> str:
        """Return one or two sentences."""
        text = f"{self.kept:,} of {self.rows_in:,} rows kept ({self.kept_ratio:.1%}), {self.dropped:,} dropped"
        text += f", {self.rejected:,} bad" if self.rejected else ""
        return f"{text}: {self.out}." + (" All of it was there already." if self.repeated else "")

    def __str__(self) -> str:
        lines = [self.summary()]
        for step in self.steps:
            lines.append(
                f"  {step.number}. {step.title}: {step.kept:,} of {step.rows_in:,} pass ({step.kept_ratio:.1%})"
            )
            lines += [f"       {count:>9,} {kind}" for kind, count in Counter(step.reasons).most_common()]
            lines += [f"       {count:>9,} {kind} found" for kind, count in Counter(step.counts).most_common()]
        return "\n".join(lines)


class Tally:
    """Counts what becomes of rows at one step, and picks examples by their texts' hashes: any order gives the same."""

    def __init__(self, number: int, title: str, measure: str | None = None) -> None:
        self.report = StepReport(number, title)
        self.measure = measure
        if measure is not None:
            self.report.scores = {"kept": [0] * BINS, "dropped": [0] * BINS}
        self._kept = _Least()
        self._dropped: dict[str, _Least] = {}

    def passed(self, key: int, text: str, row: Row) -> None:
        """Count a row that went on."""
        self.report.rows_in += 1
        self._score("kept", row)
        self._kept.offer(key, text)

    def drop(self, key: int, text: str, row: Row, reason: str) -> None:
        """Count a row that was left out."""
        self.report.rows_in += 1
        self.report.dropped += 1
        self._score("dropped", row)
        kind = reason.partition(":")[0]
        self.report.reasons[kind] = self.report.reasons.get(kind, 0) + 1
        if kind in self._dropped or len(self._dropped) < _KINDS:
            self._dropped.setdefault(kind, _Least()).offer(key, text, reason)

    def reject(self) -> None:
        """Count a bad row."""
        self.report.rows_in += 1
        self.report.rejected += 1

    def done(self) -> StepReport:
        """Return the report, with its examples."""
        self.report.kept_samples = [text for text, _ in self._kept.found()]
        for kind, some in sorted(self._dropped.items()):
            self.report.dropped_samples[kind] = [{"reason": reason, "text": text} for text, reason in some.found()]
        return self.report

    def _score(self, side: str, row: Row) -> None:
        value = row.get(self.measure) if self.measure is not None else None
        if isinstance(value, int | float) and self.report.scores is not None:
            self.report.scores[side][min(BINS - 1, max(0, int(value * BINS)))] += 1
        elif isinstance(value, Mapping):
            self.report.scores = None
            for kind, count in value.items():
                if isinstance(count, int):
                    self.report.counts[str(kind)] = self.report.counts.get(str(kind), 0) + count


class _Least:
    """The few texts of the least hashes."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str, str]] = []

    def offer(self, key: int, text: str, reason: str = "") -> None:
        if len(self._heap) == SAMPLES:
            if key < -self._heap[0][0] and all(key != -one[0] for one in self._heap):
                heapq.heapreplace(self._heap, (-key, _short(text), reason))
        elif all(key != -one[0] for one in self._heap):  # copies of one text are one example
            heapq.heappush(self._heap, (-key, _short(text), reason))

    def found(self) -> list[tuple[str, str]]:
        return [(text, reason) for _, text, reason in sorted(self._heap, reverse=True)]


def key_of(text: str) -> int:
    """Return a hash of a text, the same everywhere."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _short(text: str) -> str:
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"
