"""Models that hold though what they ask fails: time limits, fallbacks, circuit breakers, hedged calls.

Each wraps models and is one, so they nest: `Fallback([Breaker(Timed(remote, 10)), local])`.
"""

from __future__ import annotations

from pilotfish.infer.resilient.breaker import Breaker
from pilotfish.infer.resilient.fallback import Fallback
from pilotfish.infer.resilient.hedged import Hedged
from pilotfish.infer.resilient.timed import Timed

__all__ = ["Breaker", "Fallback", "Hedged", "Timed"]
