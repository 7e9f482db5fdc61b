"""What a metric makes of a system's rows: the mean with its interval, the worst rows to look at; pairs of systems."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilotfish.evaluate.metric import OfRows
from pilotfish.evaluate.scores import Scores
from pilotfish.measure.intervals import Interval
from pilotfish.measure.report.document import MarkedText
from pilotfish.rows._json import encoded
from pilotfish.rows._row import Row

__all__ = ["Against", "Case", "Judged", "against", "judged", "keys_of"]


@dataclass(frozen=True)
class Case:
    """A row to look at.

    Attributes:
        number: of the row, from 1.
        score: what it scored.
        note: what was odd about it.
        texts: its texts, with what was found and what was not.
    """

    number: int
    score: float
    note: str
    texts: Sequence[MarkedText]


@dataclass(frozen=True, eq=False)
class Judged:
    """A system's rows by a metric.

    Attributes:
        system: whose answers they are; "" where there is one alone.
        metric: it.
        scores: of the rows.
        mean: with its interval.
        worst: the rows that scored worst, the worst first.
        rejected: rows that could not be scored.
    """

    system: str
    metric: OfRows
    scores: Scores
    mean: Interval
    worst: Sequence[Case] = ()
    rejected: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        parts = {name: float(column.mean()) for name, column in self.scores.parts.items()}
        told = {"metric": self.scores.metric, **self.mean.to_json(), "rows": len(self.scores), "parts": parts}
        return told | {"odd": self.scores.odd(), "rejected": self.rejected}


@dataclass(frozen=True)
class Against:
    """By how much one system's mean lies above another's, on the rows that both have."""

    metric: str
    system: str
    other: str
    above: Interval
    rows: int

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        told = {"metric": self.metric, "system": self.system, "other": self.other}
        return told | {**self.above.to_json(), "rows": self.rows}


def judged(
    metric: OfRows,
    scores: Scores,
    rows: Iterable[Row],
    *,
    system: str = "",
    groups: Sequence[str] | None = None,
    seed: int = 0,
    worst: int = 0,
    rejected: int = 0,
) -> Judged:
    """Return what a metric makes of rows.

    Args:
        metric: that gave the scores.
        scores: of the rows.
        rows: the same rows; gone through once, and only where some are to be looked at.
        system: whose answers they are.
        groups: of the rows: those of one group are drawn together for the interval.
        seed: of that draw.
        worst: how many rows to look at.
        rejected: rows that could not be scored.
    """
    order = heapq.nsmallest(worst, range(len(scores)), lambda row: scores.values[row] * (1 if metric.higher else -1))
    wanted = set(order)
    found: dict[int, Case] = {}
    for number, row in enumerate(rows) if wanted else ():
        if number in wanted:
            texts = metric.explained(row)
            found[number] = Case(number + 1, float(scores.values[number]), scores.notes[number], texts)
            if len(found) == len(wanted):
                break
    mean = scores.mean(groups=groups, seed=seed)
    return Judged(system, metric, scores, mean, [found[number] for number in order], rejected)


def against(
    one: Judged,
    other: Judged,
    keys: tuple[Sequence[bytes], Sequence[bytes]],
    *,
    groups: Mapping[bytes, str] | None = None,
    seed: int = 0,
) -> Against | None:
    """Return by how much one system's mean lies above another's, by the same metric; None where they share no row.

    Args:
        one: the system.
        other: to compare it with.
        keys: which row each score is of, for both: see `keys_of`.
        groups: of the keys.
        seed: of the draw.
    """
    places = {key: place for place, key in enumerate(keys[1])}
    both = [(place, places[key]) for place, key in enumerate(keys[0]) if key in places]
    if not both:
        return None
    some = None if groups is None else [groups[keys[0][place]] for place, _ in both]
    mine, theirs = one.scores.take([a for a, _ in both]), other.scores.take([b for _, b in both])
    above = mine.above(theirs, groups=some, seed=seed)
    return Against(one.metric.name, one.system, other.system, above, len(both))


def keys_of(rows: Iterable[Row], made: Sequence[str]) -> Iterator[bytes]:
    """Yield what tells a row from others by the columns that are its own, equal ones by their order.

    Args:
        rows: in their order.
        made: columns that were made of a row, and what begins with their names and a dot.
    """
    seen: Counter[bytes] = Counter()
    for row in rows:
        own = {key: row[key] for key in row if not any(key == one or key.startswith(f"{one}.") for one in made)}
        digest = hashlib.blake2b(encoded(own), digest_size=16).digest()
        seen[digest] += 1
        yield digest if seen[digest] == 1 else digest + seen[digest].to_bytes(4, "big")
