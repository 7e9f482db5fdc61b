"""Asking within an advice's budget: what calls cost is taken from its dollars, whoever answers them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pilotfish._sync import wait
from pilotfish.errors import ModelError
from pilotfish.measure.meters import Meter
from pilotfish.models.calls import Budget as Most
from pilotfish.models.calls import Calls, Failure

if TYPE_CHECKING:
    from pilotfish.compete.watch import Budget
    from pilotfish.model import Model, Reply, Request

__all__ = ["Paid", "SpentError", "paid", "paid_before"]


class SpentError(ModelError):
    """The dollars do not do for the next answer."""


@dataclass(frozen=True)
class Paid:
    """What came of requests.

    Attributes:
        replies: one a request, in order, or why there is none.
        asked: calls made for them now: the others were kept.
        seconds: that they took together.
        meter: what was measured meanwhile.
    """

    replies: list[Reply | Failure]
    asked: int
    seconds: float
    meter: Meter


def paid_before(model: Model, path: Path) -> float:
    """Return the dollars of all calls in a file: the budget is for an advice as a whole, however often it stopped."""
    if not path.exists():
        return 0.0
    calls = Calls(model, path)
    try:
        return calls.bill.cost or 0.0
    finally:
        calls.close()


def paid(model: Model, path: Path, requests: Sequence[Request], budget: Budget) -> Paid:
    """Ask what is not in the file yet, as long as the budget's dollars do, and count them as spent.

    Args:
        model: who answers.
        path: the file that keeps answers.
        requests: one at least.
        budget: whose dollars they are; those in the file stand in `spent` already.

    Raises:
        SpentError: the dollars do not do for all of them; what was answered is kept.
        ModelError: none can be answered.
        UpstreamError: the endpoint fails for request after request.
    """
    calls, left = Calls(model, path), budget.dollars_left()
    if np.isfinite(left):
        # The store counts what it holds already, which stands in `spent` too.
        had = calls.bill.cost or 0.0
        calls.close()
        calls = Calls(model, path, budget=Most(dollars=max(left + had, 1e-9)))
    before, start = calls.bill, time.perf_counter()
    with Meter() as meter:
        try:
            replies = wait(calls.replies(requests, progress=False))
        finally:
            asked, bill, spent = calls.asked, calls.bill, calls.spent
            calls.close()
            budget.spent += (bill.cost or 0.0) - (before.cost or 0.0)
    if spent:
        raise SpentError("the dollars are spent")
    if asked == 0 and all(isinstance(one, Failure) for one in replies):
        raise ModelError(next(one.reason for one in replies if isinstance(one, Failure)))
    return Paid(replies, asked, time.perf_counter() - start, meter)
