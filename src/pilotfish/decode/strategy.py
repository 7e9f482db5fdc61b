"""What advances a batch of rows: a job is one answer in the making, a strategy moves jobs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pilotfish.decode.decoder import Decoder, Prompt, Row
from pilotfish.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from pilotfish.decode.sampler import Sampler
    from pilotfish.model import Call, Decision

__all__ = ["Job", "Plain", "Step", "Strategy", "Tally", "open_rows", "row_of"]


@dataclass(eq=False)
class Job:
    """One answer in the making: its prompt, how it samples, and the row it has in the strategy's decoder.

    `wants_logits`: whether steps must carry logits, from which log-probabilities are read. `limit`: the most tokens
    the answer may have; `begin` lowers it to what the row has room for. `state` belongs to the strategy.
    """

    prompt: Prompt
    sampler: Sampler
    limit: int
    wants_logits: bool = False
    row: Row | None = None
    state: Any = None


@dataclass(frozen=True)
class Step:
    """What one step gave one job: at least one token, and raw logits (tokens, vocabulary) each was chosen from.

    With an `error` the job cannot go on, alone of its batch; it then need have no tokens.
    """

    tokens: list[int]
    logits: Tensor | None = None
    error: Exception | None = None


@dataclass
class Tally:
    """What a strategy spent and decided for one job, for the trace: calls by model, and decisions.

    Where there are calls they are all that the answer took; where there are none the face writes the one call.
    """

    calls: list[Call] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)


class Strategy(Protocol):
    """Moves jobs on. The scheduler calls `begin` once a job, `step` until it is done, and then `end`.

    Every token a step returns was accepted by the job's sampler (`sampler.accept`), in order. The scheduler may stop
    anywhere inside a step (an end token, a stop string, the limit) and throws the rest away. It ends a job in the
    middle where its reader leaves. An exception of `step` fails every job in it; see `Step.error` for one alone.
    """

    @property
    def vocabulary(self) -> int:
        """How many logits there are."""

    @property
    def device(self) -> Any:
        """The torch device of the logits."""

    def begin(self, jobs: Sequence[Job]) -> None:
        """Open the jobs' rows, run their prompts, and lower each job's `limit` to its row's room: all jobs or none.

        Raises:
            ModelError: a prompt does not fit; then no row is left open.
        """

    def step(self, jobs: Sequence[Job]) -> list[Step]:
        """Give each job at least one more token."""

    def end(self, job: Job) -> Tally:
        """Close the job's rows and tell what it took beside the tokens that were shown."""


def open_rows(decoder: Decoder, jobs: Sequence[Job], prompts: Sequence[Prompt] | None = None) -> Tensor:
    """Give each job a row (`job.row`) and lower its limit to the row's room; return the logits (jobs, vocabulary).

    `prompts`: the part of each job's prompt that is this decoder's; all of it by default.

    Raises:
        ModelError: a prompt does not fit, or leaves no room for an answer; then no row is left open.
    """
    rows, logits = decoder.start([job.prompt for job in jobs] if prompts is None else prompts)
    try:
        for job, row in zip(jobs, rows, strict=True):
            room = decoder.room(row)
            if room < 1:
                size = sum(len(ids) for ids in row.prompt)
                raise ModelError(f"a prompt of {size} tokens leaves the model no room for an answer: shorten it")
            job.limit = min(job.limit, room)
    except BaseException:
        for row in rows:
            decoder.close(row)
        raise
    for job, row in zip(jobs, rows, strict=True):
        job.row = row
    return logits


def row_of(job: Job) -> Row:
    """Return the row that `open_rows` gave the job."""
    assert job.row is not None, "begin comes first, and end last"
    return job.row


class Plain:
    """One token a job and step: all jobs' last tokens go through the decoder in one pass.

    `job.state` is the logits (vocabulary,) after the prompt until the first token was chosen from them, then None.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.vocabulary, self.device = decoder.vocabulary, decoder.device

    def begin(self, jobs: Sequence[Job]) -> None:
        """Run the prompts in one pass.

        Raises:
            ModelError: a prompt does not fit; then no row is left open.
        """
        for job, after in zip(jobs, open_rows(self.decoder, jobs), strict=True):
            job.state = after

    def step(self, jobs: Sequence[Job]) -> list[Step]:
        """Feed the last tokens of the jobs that have some, and choose one more for every job."""
        from pilotfish.decode.sampler import choose_each

        old = [job for job in jobs if job.state is None]
        fed = iter(
            self.decoder.feed([row_of(job) for job in old], [job.sampler.tokens[-1:] for job in old]) if old else ()
        )
        logits = [next(fed)[-1] if job.state is None else job.state for job in jobs]
        steps = []
        for job, after, chosen in zip(jobs, logits, choose_each([job.sampler for job in jobs], logits), strict=True):
            job.state = None
            try:
                if isinstance(chosen, Exception):
                    raise chosen
                job.sampler.accept([chosen])
            except Exception as error:  # of one row's constraint or rule: the others go on
                steps.append(Step([], error=error))
            else:
                steps.append(Step([chosen], after[None] if job.wants_logits else None))
        return steps

    def end(self, job: Job) -> Tally:
        """Close the row; the calls are those of a decoder that counts its members' (a lockstep)."""
        if job.row is None:
            return Tally()
        count = getattr(self.decoder, "calls", None)
        tally = Tally(calls=list(count(job.row)) if count else [])
        self.decoder.close(job.row)
        job.row = None
        return tally
