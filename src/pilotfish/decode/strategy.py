"""What advances a batch of rows: a job is one answer in the making, a strategy moves jobs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pilotfish.decode.decoder import Prompt, Row

if TYPE_CHECKING:
    from torch import Tensor

    from pilotfish.decode.sampler import Sampler
    from pilotfish.model import Call, Decision

__all__ = ["Job", "Step", "Strategy", "Tally"]


@dataclass(eq=False)
class Job:
    """One answer in the making: its prompt, how it samples, and the row it has in the strategy's decoder.

    `wants_logits`: whether steps must carry logits, from which log-probabilities are read. `limit`: the most tokens
    the answer may have. `state` belongs to the strategy.
    """

    prompt: Prompt
    sampler: Sampler
    limit: int
    wants_logits: bool = False
    row: Row | None = None
    state: Any = None


@dataclass(frozen=True)
class Step:
    """What one step gave one job: at least one token, and raw logits (tokens, vocabulary) each was chosen from."""

    tokens: list[int]
    logits: Tensor | None = None


@dataclass
class Tally:
    """What a strategy spent and decided for one job, for the trace: calls by model, and decisions."""

    calls: list[Call] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)


class Strategy(Protocol):
    """Moves jobs on. The scheduler calls `begin` once a job, `step` until it is done, and then `end`.

    Every token a step returns was accepted by the job's sampler (`sampler.accept`), in order. The scheduler may stop
    anywhere inside a step (an end token, a stop string, the limit) and throws the rest away. It ends a job in the
    middle where its reader leaves.
    """

    def begin(self, jobs: Sequence[Job]) -> None:
        """Open the jobs' rows and run their prompts."""

    def step(self, jobs: Sequence[Job]) -> list[Step]:
        """Give each job at least one more token."""

    def end(self, job: Job) -> Tally:
        """Close the job's rows and tell what it took beside the tokens that were shown."""

    def room(self, prompt: Prompt) -> int:
        """Return how many tokens an answer to this prompt may have; below 1 where the prompt does not fit."""
