"""A way to accept that is watched for drift against the calibration that its threshold comes from."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Literal

from pilotfish.infer.accept import Accept
from pilotfish.infer.drift import Watch
from pilotfish.measure.checks import Verdict
from pilotfish.model import Reply, Request

__all__ = ["Watched"]

log = logging.getLogger("pilotfish.infer")


@dataclass(frozen=True, eq=False)
class Watched:
    """Accepts as `accept` does, and compares its scores with calibration's; drift is logged as a warning.

    Attributes:
        accept: the way to accept.
        watch: calibration's scores and threshold.
        then: what drift changes: "tell" nothing but the log; "defer" trusts no reply until a window looks as it should.
        name: of the model, for the log.
    """

    accept: Accept
    watch: Watch
    then: Literal["tell", "defer"] = "tell"
    name: str = "cascade"

    def __call__(self, request: Request, reply: Reply) -> Verdict | Awaitable[Verdict]:
        """Judge the reply."""
        verdict = self.accept(request, reply)
        return self._later(verdict) if inspect.isawaitable(verdict) else self._seen(verdict)

    async def _later(self, verdict: Awaitable[Verdict]) -> Verdict:
        return self._seen(await verdict)

    def _seen(self, verdict: Verdict) -> Verdict:
        # What stood before this reply decides on it: the window that a reply completes must not judge itself.
        distrusted = self.then == "defer" and self.watch.alarmed
        if verdict.score is not None:
            drift = self.watch.saw(verdict.score)
            if drift is not None and drift.alarmed:
                log.warning(
                    "%s: scores have drifted: %.0f%% below the threshold, %.0f%% when it was calibrated (p = %.1g)%s",
                    self.name,
                    100 * drift.deferred,
                    100 * drift.expected,
                    drift.p,
                    "; all goes to the next model until they look as they did" if self.then == "defer" else "",
                )
        return replace(verdict, accepted=False) if distrusted else verdict
