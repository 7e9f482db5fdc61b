"""What else a gateway may be given: a cache of replies, and places for records."""

from __future__ import annotations

from typing import Any, Protocol

from pilotfish.model import Reply, Request
from pilotfish.serve.record import Served

__all__ = ["Answers", "Log", "Traces"]


class Answers(Protocol):
    """A cache of replies."""

    async def find(self, model: str, request: Request, scope: str = "") -> Reply | None:
        """Return the reply that is held for a request of a model; those of one scope share them."""

    async def keep(self, model: str, request: Request, reply: Reply, scope: str = "") -> Any:
        """Hold a reply."""


class Log(Protocol):
    """Where records of requests go."""

    def put(self, served: Served) -> Any:
        """Take a record; never waits."""


class Traces(Protocol):
    """Where records go together with the trace that the client says they belong to."""

    def put(self, served: Served, traceparent: str | None = None) -> Any:
        """Take a record; never waits."""
