"""What the gateway allows: sizes, times and numbers, with the defaults of `pilotfish serve`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilotfish.errors import ConfigError

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """Limits of the gateway, each on one request unless it says otherwise.

    Attributes:
        max_body: bytes of a request's body; a longer one is refused with 413.
        max_header: bytes of a request's line and headers together; longer ones are refused with 431.
        max_tokens: the most tokens a request may ask for; it also holds where the request does not say. None for no
            limit.
        max_answers: the most answers (`n`) of a chat, and prompts times answers of a completion.
        max_inputs: the most texts of a request for embeddings.
        max_requests: requests under way at one time, over all clients; a further one is refused with 503.
        timeout: seconds for a whole answer, for the first byte of a streamed one, and for each further one.
        receive_timeout: seconds in which a request must have come, and for which a client may leave unread what was
            sent to it.
        keep_alive: seconds that a connection may be idle.
        drain: seconds between the signal to stop, from which on requests are refused and `/readyz` answers 503, and
            the closing of the door. Give it as long as the load balancer takes to look.
        grace: seconds that answers under way may take after that; what is left is then cut off.
        show_endpoints: whether errors name the URL of the endpoint that failed; clients of a public gateway need not
            know it.
        hosts: further names, such as "box.lan", under which a gateway without keys at a loopback address may be asked;
            it refuses what asks for another host than localhost (see `_hosts`).
    """

    max_body: int = 4 << 20
    max_header: int = 64 << 10
    max_tokens: int | None = None
    max_answers: int = 32
    max_inputs: int = 2048
    max_requests: int = 1024
    timeout: float = 600.0
    receive_timeout: float = 30.0
    keep_alive: float = 75.0
    drain: float = 0.0
    grace: float = 30.0
    show_endpoints: bool = False
    hosts: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("max_body", "max_header", "max_answers", "max_inputs", "max_requests"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ConfigError(f"max_tokens must be 1 or more, not {self.max_tokens}")
        for name in ("timeout", "receive_timeout", "keep_alive"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("drain", "grace"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in self.hosts:
            if not name or any(sign in name for sign in "/*@ "):
                raise ConfigError(f'hosts are bare names such as "box.lan", not {name!r}')
