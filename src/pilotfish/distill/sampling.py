"""How a student answers while it learns; the learning is in `pilotfish.distill.onpolicy`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pilotfish.errors import ConfigError

__all__ = ["Sampling"]


@dataclass(frozen=True)
class Sampling:
    """How the student answers while it learns.

    Attributes:
        share: λ, the share of passes whose answers are its own; 1 for MiniLLM.
        temperature: at which it samples; the loss's is another.
        max_tokens: of an answer.
        how: "gkd" or "minillm".
    """

    share: float = 0.5
    temperature: float = 1.0
    max_tokens: int = 128
    how: Literal["gkd", "minillm"] = "gkd"

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or not self.temperature > 0 or self.max_tokens < 1:
            raise ConfigError("on-policy: share is above 0 and 1 at most, temperature above 0, max_tokens 1 or more")
        if self.how not in ("gkd", "minillm"):
            raise ConfigError(f"on-policy is by gkd or minillm, not {self.how!r}")
