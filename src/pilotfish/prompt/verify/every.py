"""Several verifiers as one: every one has to trust a reply, or one of them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pilotfish.errors import ConfigError
from pilotfish.measure.checks import Accept, Verdict
from pilotfish.model import Reply, Request, Trace

__all__ = ["Need", "Together", "Verifier", "judged"]

Verifier = Accept  # whoever accepts a reply for a cascade can verify it
Need = Literal["all", "any"]


@dataclass(frozen=True)
class Together:
    """Trust what all verifiers trust, or any of them; they are asked in order, and no more of them than it takes.

    The score is how many trusted it, as a share: scores of different kinds cannot be compared.

    Attributes:
        verifiers: cheap ones first.
        need: all of them, or one.
    """

    verifiers: Sequence[Verifier]
    need: Need = "all"

    def __post_init__(self) -> None:
        if not self.verifiers or self.need not in get_args(Need):
            raise ConfigError("verifiers together: one or more, and `need` is all or any")

    async def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Ask them."""
        trace, faults, good = Trace(), [], 0
        for verifier in self.verifiers:
            verdict = await judged(verifier, request, reply)
            trace += verdict.trace
            good += verdict.accepted
            if not verdict.accepted and verdict.why:
                faults.append(verdict.why)
            if verdict.accepted == (self.need == "any"):
                break
        accepted = good == len(self.verifiers) if self.need == "all" else good > 0
        why = "" if accepted else " ".join(faults)
        return Verdict(accepted, good / len(self.verifiers), trace, why=why)


async def judged(verifier: Verifier, request: Request, reply: Reply) -> Verdict:
    """Return a verifier's verdict, whether it answers at once or has to be waited for.

    A verifier of the user's that is no coroutine runs where it is called, as a cascade's does.
    """
    verdict = verifier(request, reply)
    return await verdict if inspect.isawaitable(verdict) else verdict
