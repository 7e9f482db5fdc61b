"""Rows scored by several metrics, each in a run of its own: it streams, resumes, and spreads on Ray.

A metric's run is kept beside the others, so another metric scores no row again that has been scored, and calls that a
metric paid for are paid once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilotfish.errors import DataError
from pilotfish.evaluate.metric import OfRows, Scoring, is_of
from pilotfish.evaluate.scores import Scores
from pilotfish.rows._json import encoded
from pilotfish.rows._row import Row
from pilotfish.rows.engine import Engine
from pilotfish.rows.read import read
from pilotfish.rows.run import read_output, run

__all__ = ["Scored", "plain_name", "scored"]


@dataclass(frozen=True)
class Scored:
    """Rows with what each metric made of them.

    Attributes:
        source: the file of the rows.
        metrics: by name, as they were once they had seen the rows.
        runs: the folder of each metric's run.
        rejected: how many rows each metric could not score.
        options: of reading the source.
    """

    source: Path
    metrics: Mapping[str, OfRows]
    runs: Mapping[str, Path]
    rejected: Mapping[str, int]
    options: Mapping[str, Any] = field(default_factory=dict)

    def scores(self, name: str) -> Scores:
        """Return the scores by a metric of the rows that it could score."""
        return Scores.of_rows(self.metrics[name].label, read_output(self.runs[name]), name)

    def rows(self, name: str) -> Iterator[Row]:
        """Yield the rows that a metric could score, with its numbers, in their order."""
        return read_output(self.runs[name])

    def joined(self) -> Iterator[Row]:
        """Yield every row with the numbers of all metrics that could score it, in their order."""
        behind = {name: read_output(folder) for name, folder in self.runs.items()}
        ahead = {name: next(rows, None) for name, rows in behind.items()}
        for row in read(self.source, **self.options):
            own, found = encoded(row), dict(row)
            for name, rows in behind.items():
                there = ahead[name]
                if there is not None and encoded(own_columns(there, name)) == own:
                    found |= {key: there[key] for key in there if is_of(key, name)}
                    ahead[name] = next(rows, None)
            yield found


def scored(
    source: Path,
    metrics: Sequence[OfRows],
    folder: Path,
    *,
    engine: Engine | None = None,
    fresh: bool = False,
    progress: bool = True,
    shard_rows: int = 10_000,
    options: Mapping[str, Any] | None = None,
) -> Scored:
    """Score the rows of a file by each metric.

    Args:
        source: JSON lines, as a run's output is.
        metrics: each under a name of its own; those that have to see all rows first go through them once, unless they
            have.
        folder: for the metrics' runs.
        engine: see `run`.
        fresh: discard what earlier runs left.
        progress: show it.
        shard_rows: rows a file of a run; a stopped one goes on from its rows, not from its files.
        options: of reading the source.

    Raises:
        DataError: no row could be scored.
        ConfigError: as `run`.
    """
    done: dict[str, OfRows] = {}
    runs: dict[str, Path] = {}
    rejected: dict[str, int] = {}
    for metric in metrics:
        fitted = metric.fitted(read(source, **(options or {}))) if metric.learn is not None else metric
        stage = Scoring(fitted)
        told = json.dumps(stage.config(), sort_keys=True, default=str).encode()
        place = folder / f"{plain_name(metric.name)}-{hashlib.sha256(told).hexdigest()[:8]}"
        report = run(
            source,
            stage,
            place,
            engine=engine,
            resume=not fresh,
            progress=progress,
            shard_rows=shard_rows,
            read_options=options,
        )
        if report.all_rejected:
            kind = next(iter(report.reasons.most_common(1)), ("", 0))[0]
            raise DataError(f"{metric.name}: no row could be scored ({kind}): see {place / 'rejects.jsonl'}")
        done[metric.name], runs[metric.name] = fitted, place
        rejected[metric.name] = report.rejected
    return Scored(source, done, runs, rejected, options or {})


def own_columns(row: Row, metric: str) -> Row:
    """Return a row without what a metric of that name wrote."""
    return {key: value for key, value in row.items() if not is_of(key, metric)}


def plain_name(name: str) -> str:
    """Return a name that any file system takes: another one for another name."""
    plain = re.sub(r"[^\w.+-]+", "_", name, flags=re.ASCII).lstrip("._")[:60]
    return plain if plain and plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
