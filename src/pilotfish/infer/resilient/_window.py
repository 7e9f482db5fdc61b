"""How many calls went well and how many failed in the last seconds, in a fixed number of counters."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Window"]

_SLOTS = 10


class Window:
    """Counts over the last `seconds`, to a tenth of it."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._step = seconds / _SLOTS
        self._clock = clock
        self._counts: dict[int, list[int]] = {}

    def add(self, good: bool) -> None:
        """Count one call now."""
        self._counts.setdefault(self._now(), [0, 0])[0 if good else 1] += 1

    def counts(self) -> tuple[int, int]:
        """Return how many went well and how many failed."""
        oldest = self._now() - _SLOTS
        for slot in [slot for slot in self._counts if slot <= oldest]:
            del self._counts[slot]
        return sum(good for good, _ in self._counts.values()), sum(bad for _, bad in self._counts.values())

    def clear(self) -> None:
        """Forget all."""
        self._counts.clear()

    def _now(self) -> int:
        return int(self._clock() / self._step)
