"""What the gateway remembers of one request: what was asked, what was answered, and what it took."""

from __future__ import annotations

from dataclasses import dataclass

from pilotfish.model import Call, Decision, Reply, Request, Usage

__all__ = ["Served"]


@dataclass(frozen=True, slots=True)
class Served:
    """One request as the gateway served it, or refused it, or failed at it.

    Attributes:
        id: the id that the client saw in the response.
        time: when the request arrived, in seconds since 1970.
        key: the name of the key that asked, "" where no keys are set. Never the key itself.
        model: the name of the model that was asked for.
        request: the request as it came.
        reply: the reply as it went out; for a stream that the client left, what is known of it; None without one.
        status: the HTTP status; 499 where the client left before the answer was whole.
        error: what went wrong, in one line; "" where nothing did.
        seconds: from the request's arrival to the last byte of the answer.
        overhead: the part of `seconds` that the gateway itself took, models not counted.
        first_byte: seconds to the first byte of a stream's answer; None for answers in one piece.
        streamed: True where the answer was a stream.
        cached: True where the answer came from the gateway's own cache.
    """

    id: str
    time: float
    key: str
    model: str
    request: Request
    reply: Reply | None
    status: int = 200
    error: str = ""
    seconds: float = 0.0
    overhead: float = 0.0
    first_byte: float | None = None
    streamed: bool = False
    cached: bool = False

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every model call made for the request, in order."""
        return () if self.reply is None else self.reply.trace.calls

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Every decision taken on the way, in order."""
        return () if self.reply is None else self.reply.trace.decisions

    @property
    def answered_by(self) -> str:
        """The model of the last call, whose answer went out; "" where none was called."""
        return self.calls[-1].model if self.calls else ""

    @property
    def attempts(self) -> int:
        """How many model calls were made."""
        return len(self.calls)

    @property
    def usage(self) -> Usage:
        """Tokens over all calls."""
        return Usage() if self.reply is None else self.reply.usage

    @property
    def cost(self) -> float | None:
        """US dollars over all calls, 0 where none was made; None where the price of any call is not known."""
        return 0.0 if self.reply is None else self.reply.cost
