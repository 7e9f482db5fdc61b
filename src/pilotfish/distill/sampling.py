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
        mixed: the teacher's share in every token's distribution (MiniLLM's teacher-mixed sampling, 0.2 there): a young
            student's answers go less astray. What is learnt of a token is weighed by how much likelier the student
            alone would have said it. Only with "minillm", at a temperature of 1.
    """

    share: float = 0.5
    temperature: float = 1.0
    max_tokens: int = 128
    how: Literal["gkd", "minillm"] = "gkd"
    mixed: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or not self.temperature > 0 or self.max_tokens < 1:
            raise ConfigError("on-policy: share is above 0 and 1 at most, temperature above 0, max_tokens 1 or more")
        if self.how not in ("gkd", "minillm"):
            raise ConfigError(f"on-policy is by gkd or minillm, not {self.how!r}")
        if not 0 <= self.mixed < 1:
            raise ConfigError(f"on-policy: mixed is a share below 1, not {self.mixed}")
        if self.mixed and (self.how != "minillm" or self.temperature != 1):
            raise ConfigError("on-policy: mixed is for minillm at a temperature of 1, where its weights are known")
