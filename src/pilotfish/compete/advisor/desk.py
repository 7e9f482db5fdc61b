"""Answers of one way of doing the task: each asked for once, kept, marked, and timed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.compete.advisor.paying import paid, paid_before
from pilotfish.infer.signals import signals
from pilotfish.model import Reply, Request
from pilotfish.models.calls import Calls, Failure
from pilotfish.rows._atomic import atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.compete.advisor.marks import Marks
    from pilotfish.compete.watch import Budget
    from pilotfish.measure.meters import Meter
    from pilotfish.model import Model

__all__ = ["ALONE", "Answers", "Desk"]

ALONE = 6  # rows that are asked one at a time, for what a single row takes


@dataclass(frozen=True, eq=False)
class Answers:
    """What a way answered.

    Attributes:
        rows: (n,) row numbers.
        said: what was said of each; None where a call failed.
        marks: (n,) from 0 to 1.
        signals: (n, SIGNALS) of the log-probabilities; None where the model gives none.
        dollars: (n,); NaN where a price is not known.
        why: the first failure's reason, "" without any.
    """

    rows: NDArray[np.int64]
    said: list[str | None]
    marks: NDArray[np.float64]
    signals: NDArray[np.float64] | None
    dollars: NDArray[np.float64]
    why: str = ""

    @property
    def mean(self) -> float:
        """The mean mark."""
        return float(self.marks.mean()) if len(self.marks) else float("nan")


class Desk:
    """Asks one model, and keeps what it said under a folder.

    Args:
        model: who answers.
        identity: what decides its answers, as plain data: another one has another file.
        folder: of the advice's own work.
        marks: what answers are worth.
        requests: what is asked of each row, by row number.
        budget: whose dollars it spends.
        sure: also ask for log-probabilities, which tell how sure it is.

    Attributes:
        failed: why it cannot answer at all, "" while it can.
    """

    def __init__(
        self,
        model: Model,
        identity: Any,
        folder: Path,
        marks: Marks,
        requests: Sequence[Request],
        budget: Budget,
        *,
        sure: bool,
    ) -> None:
        told = json.dumps(identity, sort_keys=True, default=str)
        digest = hashlib.sha256(told.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        self.model, self.marks, self.requests, self.budget = model, marks, requests, budget
        self.path, self._times = folder / f"{digest}.sqlite", folder / f"{digest}.json"
        self.sure = sure
        self.failed = ""
        self._told: dict[str, Any] = {"single": [], "rows": 0, "seconds": 0.0, "joules": 0.0, "kind": ""}
        if self._times.exists():
            self._told = json.loads(self._times.read_text(encoding="utf-8"))
        budget.spent += paid_before(model, self.path)

    def ask(self, rows: Sequence[int]) -> Answers:
        """Return the answers to rows: what was asked before comes from the file.

        Raises:
            SpentError: the budget's dollars do not do for all of them; what was answered is kept.
            ModelError: it can answer none.
            UpstreamError: the endpoint fails for row after row.
        """
        requests = [self._request(row) for row in rows]
        alone = max(0, ALONE - len(self._told["single"]))
        single = [reply for request in requests[:alone] for reply in self._some([request], alone=True)]
        replies = [*single, *self._some(requests[alone:])]
        bills = self._dollars(requests)
        said = [None if isinstance(one, Failure) else one.text for one in replies]
        why = next((one.reason for one in replies if isinstance(one, Failure)), "")
        return Answers(np.asarray(rows, np.int64), said, self.marks(list(rows), said), _signals(replies), bills, why)

    @property
    def seconds(self) -> float | None:
        """Seconds a row, many rows at a time; of a single row where no more were asked."""
        if self._told["rows"]:
            return float(self._told["seconds"] / self._told["rows"])
        return self.p50

    @property
    def p50(self) -> float | None:
        """Median seconds of a row on its own."""
        return float(np.median(self._told["single"])) if self._told["single"] else None

    @property
    def p95(self) -> float | None:
        """The 95th percentile of the same: of six rows, close to the slowest of them."""
        return float(np.quantile(self._told["single"], 0.95)) if self._told["single"] else None

    @property
    def joules(self) -> tuple[float | None, str]:
        """Joules a row, and whether they are measured or estimated."""
        rows = self._told["rows"]
        return (self._told["joules"] / rows, self._told["kind"]) if rows else (None, "")

    def _request(self, row: int) -> Request:
        request = self.requests[row]
        return request.with_(logprobs=True, top_logprobs=2) if self.sure else request

    def _some(self, requests: Sequence[Request], *, alone: bool = False) -> list[Reply | Failure]:
        if not requests:
            return []
        found = paid(self.model, self.path, requests, self.budget)
        if found.asked:
            self._timed(found.asked, found.seconds, found.meter, alone=alone)
        return found.replies

    def _timed(self, asked: int, seconds: float, meter: Meter, *, alone: bool) -> None:
        if alone:
            self._told["single"].append(seconds)
        else:
            energy = meter.reading.energy
            self._told["rows"] += asked
            self._told["seconds"] += seconds
            self._told["joules"] += energy.joules
            self._told["kind"] = energy.kind
        with atomic(self._times) as file:
            file.write(json.dumps(self._told).encode())

    def _dollars(self, requests: Sequence[Request]) -> NDArray[np.float64]:
        calls = Calls(self.model, self.path)
        try:
            costs = [calls.bill_of([request]).cost for request in requests]
        finally:
            calls.close()
        return np.array([float("nan") if cost is None else cost for cost in costs])


def _signals(replies: Sequence[Reply | Failure]) -> NDArray[np.float64] | None:
    if any(isinstance(one, Reply) and one.logprobs is None for one in replies):
        return None
    return np.array([signals(() if isinstance(one, Failure) else one.logprobs or ()) for one in replies])
