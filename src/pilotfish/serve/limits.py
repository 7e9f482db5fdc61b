"""How much a key may use: token buckets for requests and tokens, and a budget in dollars for a day, a month or ever."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pilotfish.errors import ConfigError
from pilotfish.serve._ledger import Ledger

__all__ = ["Bucket", "Budget", "Period"]

Period = Literal["day", "month"]


@dataclass(eq=False)
class Bucket:
    """A token bucket: at most `burst + rate * t` is taken in any t seconds.

    What was taken for an estimate can be corrected afterwards: a correction may leave the bucket in debt, which later
    takers wait for.

    Attributes:
        rate: units that flow in each second.
        burst: the most that lies ready.
        clock: seconds that never run backwards.
    """

    rate: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    _level: float = field(init=False, repr=False)
    _at: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not (self.rate > 0 and self.burst > 0):
            raise ConfigError(f"a rate and its burst must be above 0, not {self.rate} and {self.burst}")
        self._level, self._at = float(self.burst), self.clock()

    def wait(self, units: float = 1.0) -> float:
        """Return the seconds until `units` lie ready, 0 where they do now; infinity where `burst` is less."""
        if units > self.burst:
            return float("inf")
        now = self.clock()
        self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        # The last bit of a float is no reason to make a caller wait.
        missing = units - self._level
        return missing / self.rate if missing > 1e-9 * self.burst else 0.0

    def take(self, units: float = 1.0) -> None:
        """Take `units`, ready or not: ask `wait` first. Negative units are given back."""
        self._level = min(self.burst, self._level - units)


@dataclass(eq=False)
class Budget:
    """Dollars for one key in each day or month (UTC), or in all.

    It is asked before a request and charged after it, so requests that run side by side at the very end may pass it
    by what they cost.
    """

    key: str
    dollars: float
    period: Period | None
    ledger: Ledger
    now: Callable[[], float] = time.time

    @property
    def spent(self) -> float:
        """Dollars spent in the present period, by every process that shares the ledger's file."""
        return self.ledger.spent(self.key, self._span())

    @property
    def left(self) -> float:
        """Dollars left in the present period, 0 or more."""
        return max(0.0, self.dollars - self.spent)

    def charge(self, dollars: float) -> None:
        """Count dollars as spent now."""
        if dollars > 0:
            self.ledger.add(self.key, self._span(), dollars)

    def renewed_in(self) -> float | None:
        """Return the seconds until the next period begins; None for a budget without one."""
        if self.period is None:
            return None
        today = self._today()
        if self.period == "day":
            then = today + datetime.timedelta(days=1)
        else:
            then = (today.replace(day=1) + datetime.timedelta(days=32)).replace(day=1)
        midnight = datetime.datetime(then.year, then.month, then.day, tzinfo=datetime.UTC)
        return max(0.0, midnight.timestamp() - self.now())

    def _today(self) -> datetime.date:
        return datetime.datetime.fromtimestamp(self.now(), datetime.UTC).date()

    def _span(self) -> str:
        if self.period is None:
            return "ever"
        return self._today().isoformat()[: 10 if self.period == "day" else 7]
