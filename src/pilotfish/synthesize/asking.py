"""How a model is asked for rows: temperatures, length, and whether its answer is held to a schema as it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.model import Request
from pilotfish.synthesize.recipe import Made

__all__ = ["Asking"]


@dataclass(frozen=True)
class Asking:
    """How a model is asked.

    Attributes:
        temperatures: one is taken after the other (a sweep).
        max_tokens: of an answer.
        constrained: send the JSON schema as `response_format`: a local model cannot write anything else, and an
            endpoint is told; False where an endpoint does not know it.
    """

    temperatures: tuple[float, ...] = (1.0,)
    max_tokens: int = 512
    constrained: bool = True

    def __post_init__(self) -> None:
        if not self.temperatures or min(self.temperatures) < 0 or self.max_tokens < 1:
            raise ConfigError("a temperature of 0 or more is needed, and max_tokens of 1 or more")

    def request(self, text: str, made: Made, number: int, response_format: Mapping[str, Any] | None) -> Request:
        """Return the request of a round's prompt; its number makes it another than the same text in another place."""
        return Request.of(
            text,
            temperature=self.temperatures[number % len(self.temperatures)],
            max_tokens=self.max_tokens,
            response_format=response_format if self.constrained else None,
            metadata={"sample": [made.round, number]},
        )
