"""How long a call takes: median, tail and throughput, for one row at a time or for batches."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from pilotfish.errors import DataError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall-clock seconds of calls of one batch size.

    Attributes:
        seconds: one number a call, in the order they ran, warm-up left out.
        rows: rows each of those calls held (the last batch may be short).
        batch: the batch size asked for.
    """

    seconds: tuple[float, ...]
    rows: tuple[int, ...]
    batch: int = 1

    @property
    def p50(self) -> float:
        """The median, in seconds a call."""
        return float(np.quantile(self.seconds, 0.50))

    @property
    def p95(self) -> float:
        """The 95th percentile, in seconds a call; with under 20 calls it is close to the slowest one."""
        return float(np.quantile(self.seconds, 0.95))

    @property
    def rows_per_second(self) -> float:
        """Rows over the sum of the calls' seconds; infinite where the clock saw no time pass."""
        total = sum(self.seconds)
        return sum(self.rows) / total if total > 0 else math.inf

    def to_json(self) -> dict[str, Any]:
        """Return the summary, in seconds, as plain data."""
        return {
            "batch": self.batch,
            "calls": len(self.seconds),
            "p50": self.p50,
            "p95": self.p95,
            "rows_per_second": self.rows_per_second if math.isfinite(self.rows_per_second) else None,
        }

    def __str__(self) -> str:
        return f"p50 {self.p50 * 1e3:.3g} ms, p95 {self.p95 * 1e3:.3g} ms, {self.rows_per_second:.3g} rows/s"


def measure_latency(
    fn: Callable[[Sequence[T]], object],
    inputs: Sequence[T],
    *,
    batch: int = 1,
    warmup: int = 2,
    repeats: int = 1,
    max_seconds: float | None = None,
) -> Latency:
    """Time `fn(rows)` on `inputs`, cut into batches; work that `fn` leaves on a GPU is waited for.

    Args:
        fn: takes a sequence of at most `batch` inputs; what it returns is thrown away.
        inputs: at least one; varied ones, as real latency depends on length.
        batch: rows a call.
        warmup: calls made first and not counted.
        repeats: times the inputs are gone through.
        max_seconds: stop early, after at least one call, once the timed calls have taken this long.

    Raises:
        DataError: no inputs, or a batch or repeats below 1.
    """
    if not len(inputs) or batch < 1 or repeats < 1 or warmup < 0:
        raise DataError("latency needs at least one input, a batch and repeats of at least 1, a warm-up of at least 0")
    batches = [inputs[start : start + batch] for start in range(0, len(inputs), batch)]
    for index in range(warmup):
        fn(batches[index % len(batches)])
    _wait_for_gpu()
    seconds: list[float] = []
    rows: list[int] = []
    for rows_in in batches * repeats:
        start = time.perf_counter()
        fn(rows_in)
        _wait_for_gpu()
        seconds.append(time.perf_counter() - start)
        rows.append(len(rows_in))
        if max_seconds is not None and sum(seconds) >= max_seconds:
            break
    return Latency(tuple(seconds), tuple(rows), batch)


def _wait_for_gpu() -> None:
    # Only a torch that somebody else imported can have work in flight; importing it here would cost seconds.
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
