"""What goes wrong in the gateway, as OpenAI's clients expect it: a status, and `{"error": {message, type, code}}`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from pilotfish.errors import ConfigError, DataError, MissingExtra, ModelError, UpstreamError, did_you_mean
from pilotfish.serve.keys import Refused

__all__ = ["Fault", "alone", "fault_of", "near"]

_LONGEST = 100  # characters of a client's own word that an error repeats

# What OpenAI's `type` is for a status; their SDKs look at the status, people at the type.
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    502: "upstream_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_URL = re.compile(r"https?://[^\s]+")


class Fault(Exception):  # noqa: N818 what the client is told
    """A request that gets no answer, but an error that says why.

    Attributes:
        status: the HTTP status.
        code: what programs look at.
        param: the field of the request that is wrong, if one is.
        retry_after: seconds after which the same request may succeed, or None.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        *,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.retry_after = status, code, param, retry_after

    def to_json(self) -> dict[str, Any]:
        """Return the body."""
        kind = "insufficient_quota" if self.code == "insufficient_quota" else _TYPES.get(self.status)
        error = {
            "message": str(self),
            "type": kind or "invalid_request_error",
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that go with it: Retry-After in whole seconds, rounded up."""
        if self.retry_after is None:
            return []
        return [(b"retry-after", str(math.ceil(self.retry_after)).encode())]


def fault_of(error: BaseException, show_endpoints: bool = False) -> Fault:
    """Return what the client is told of an error.

    An endpoint's 429 stays one, with its Retry-After; what it says is wrong with the request (400, 413, 422) is passed
    on. That it refused *our* key, or does not know the model's name, is no fault of the client's: 502. A bug tells
    nothing of itself: the log does.
    """
    if isinstance(error, Fault):
        return error
    if isinstance(error, Refused):
        return Fault(error.status, error.message, error.code, retry_after=error.retry_after)
    if isinstance(error, TimeoutError):
        return Fault(504, "no answer in time", "timeout")
    said = " ".join(str(error).split())
    if isinstance(error, UpstreamError):
        said = said if show_endpoints else _URL.sub("the endpoint", said)
        if error.status in (400, 413, 422):
            return Fault(error.status, said, "upstream_refused")
        if error.status == 429:
            return Fault(429, said, "rate_limit_exceeded", retry_after=error.retry_after)
        if error.status in (408, 504) or (error.status is None and "no answer" in said):
            return Fault(504, said, "upstream_timeout")
        if error.status in (503, 529):
            return Fault(503, said, "upstream_overloaded", retry_after=error.retry_after)
        return Fault(502, said, "upstream_error")
    if isinstance(error, ModelError):
        return Fault(400, said, "model_error")
    if isinstance(error, ConfigError | DataError | MissingExtra):
        return Fault(500, f"the gateway is not set up for this: {said}", "configuration_error")
    return Fault(500, "an error inside the gateway; its log says more", "internal_error")


def near(name: str, known: Iterable[str]) -> str:
    """Return a client's word with the nearest one that is known; looking for it in a very long one would take long."""
    if len(name) > _LONGEST:
        return f"{name[:_LONGEST]!r}… here"
    return f"{name!r} here{did_you_mean(name, known)}"


def alone(error: BaseException) -> BaseException:
    """Return the error that a group is about: several prompts may fail side by side, and one is told."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
