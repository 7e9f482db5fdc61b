"""Draft and verify: a draft proposes, one pass of the target judges all of it, and the answer is the target's own.

Source: Leviathan et al. 2023 (Fast Inference from Transformers via Speculative Decoding), algorithm 1; Chen et al. 2023
(Accelerating Large Language Model Decoding with Speculative Sampling), algorithm 2. The target is any decoder, several
models in lockstep included.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from pilotfish.decode.speculative.draft import Draft, Drafted, Plan, Proposal, Seat
from pilotfish.decode.speculative.policy import Arm, Auto, Policy, Round
from pilotfish.decode.speculative.report import SpeculativeReport
from pilotfish.decode.speculative.verify import Verified, verify
from pilotfish.decode.strategy import Job, Step, Tally, open_rows, row_of
from pilotfish.errors import ModelError
from pilotfish.model import Call, Decision

if TYPE_CHECKING:
    from torch import Tensor

    from pilotfish.decode.decoder import Decoder

__all__ = ["Speculative"]


@dataclass(eq=False)
class _State:
    """A job's seat at the draft, the logits after the prompt until the first token is chosen, and its own sums."""

    seat: Seat
    first: Tensor | None = None
    prompt_seconds: float = 0.0
    report: SpeculativeReport = field(default_factory=SpeculativeReport)
    used_draft: bool = False


class Speculative:
    """A `Strategy`: greedy answers are the target's to the token, sampled ones have its distribution exactly.

    Sampled requests with a seed are verified by matching (see `verify`), so that they give what plain decoding gives
    with that seed, however much is drafted; the others by rejection, which accepts more. A job's prompt is the
    target's (as many lists as it has members) followed by the draft's own; without the latter the draft gets the
    target's first list.

    Args:
        target: gives the logits that count.
        draft: proposes.
        policy: how much to draft; `Auto` measures and decides.
        ends: tokens that end an answer.
        name: the name in decisions; `target_name` that of the target in calls.

    Attributes:
        report: sums over all jobs that have ended.
        last: the report of the one that ended last.
    """

    def __init__(
        self,
        target: Decoder,
        draft: Draft,
        policy: Policy | None = None,
        *,
        ends: frozenset[int] = frozenset(),
        name: str = "speculative",
        target_name: str = "target",
    ) -> None:
        self.target, self.draft, self.policy = target, draft, policy or Auto()
        self.ends, self.name, self.target_name = ends, name, target_name
        self.vocabulary, self.device = target.vocabulary, target.device
        self.report = self.last = SpeculativeReport()

    def reset(self) -> None:
        """Begin the sums anew; what the policy has measured stays."""
        self.report = self.last = SpeculativeReport()

    def begin(self, jobs: Sequence[Job]) -> None:
        """Run the prompts through the target. The draft's own run when it is first asked.

        Raises:
            ModelError: a prompt does not fit the target; then no row is left open.
        """
        members = self.target.members
        for job in jobs:
            job.state = _State(Seat(job, job.prompt[members:] or job.prompt[:1]))
        started = self._clock()
        opened = open_rows(self.target, jobs, [job.prompt[:members] for job in jobs])
        seconds = self._clock() - started
        for job, logits in zip(jobs, opened, strict=True):
            job.state.first, job.state.prompt_seconds = logits[None], seconds / len(jobs)

    def step(self, jobs: Sequence[Job]) -> list[Step]:
        """Give each job its next tokens: one after the prompt, later one and as many as were accepted."""
        going = [job for job in jobs if job.state.first is None]
        rounds = iter(self._round(going) if going else ())
        return [self._first(job) if job.state.first is not None else next(rounds) for job in jobs]

    def end(self, job: Job) -> Tally:
        """Close the job's rows; tell both models' passes and what was accepted."""
        state: _State | None = job.state
        if job.row is None or state is None:
            return Tally()
        report = state.report
        report.told = state.seat.refused or self.policy.state
        self.report, self.last = self.report + report, report
        tally = Tally(
            self._calls(job), [Decision(self.name, report.summary(), report.alpha if report.drafts else None)]
        )
        self.target.close(job.row)
        self.draft.close(state.seat)
        job.row = job.state = None
        return tally

    def _calls(self, job: Job) -> list[Call]:
        """Return the target's calls, its members' own where it counts them, and the draft's."""
        state: _State = job.state
        report = state.report
        count = getattr(self.target, "calls", None)
        if count is not None:
            calls = list(count(job.row))
        else:
            prompt = len(job.prompt[0])
            seconds = state.prompt_seconds + report.target_seconds
            calls = [Call(self.target_name, "target", prompt, report.tokens, seconds)]
        if state.used_draft:
            read = sum(map(len, state.seat.prompt))
            calls.append(Call(self.draft.name, "draft", read, report.drafted, report.draft_seconds))
        return calls

    def _first(self, job: Job) -> Step:
        state: _State = job.state
        logits, state.first = state.first, None
        assert logits is not None
        try:
            tokens = job.sampler.choose(logits)
            self._say(job, tokens)
        except Exception as error:  # of one row's constraint or rule: the others go on
            return Step([], error=error)
        return Step(tokens, logits if job.wants_logits else None)

    # One round.

    def _round(self, jobs: Sequence[Job]) -> list[Step]:
        arm, plans = self._plans(jobs)
        started = self._clock()
        drafted = Drafted([Proposal() for _ in jobs])
        if any(plan.length > 0 for plan in plans):
            drafted = self.draft.propose([job.state.seat for job in jobs], plans, self.policy)
        middle = self._clock()
        verdicts, logits = self._verified(jobs, drafted.proposals)
        ended = self._clock()
        self._learn(arm, jobs, drafted, verdicts, middle - started, ended - middle)
        out = []
        for job, verdict, row in zip(jobs, verdicts, logits, strict=True):
            try:
                if isinstance(verdict, Exception):
                    raise verdict
                self._say(job, verdict.tokens)
                job.state.report.said.append(len(verdict.tokens))
            except Exception as error:  # of one row's constraint or rule: the others go on
                out.append(Step([], error=error))
            else:
                out.append(Step(verdict.tokens, row[verdict.rows] if job.wants_logits else None))
        return out

    def _plans(self, jobs: Sequence[Job]) -> tuple[Arm, list[Plan]]:
        arm, length, tree = self.policy.choose(len(jobs))
        if tree is not None and not (self.draft.trees and self.target.trees):
            arm, tree = "chain", None
        plans = []
        for job in jobs:
            seat: Seat = job.state.seat
            room = self.target.room(row_of(job)) - 1 - (tree.size - tree.longest if tree is not None else 0)
            # A round says one token more than it accepts, so the last token is never drafted.
            most = max(0, min(length, job.limit - len(seat.tokens) - 1, room))
            seeded = job.sampler.sampling.seed is not None
            plans.append(Plan(most, tree if most else None, match=job.sampler.greedy or seeded))
        return arm, plans

    def _verified(
        self, jobs: Sequence[Job], proposals: Sequence[Proposal]
    ) -> tuple[list[Verified | Exception], list[Tensor]]:
        """Run last tokens and proposals through the target in one feed, judge them, and keep what was accepted."""
        rows = [row_of(job) for job in jobs]
        fed = [[job.state.seat.tokens[-1], *proposal.tokens] for job, proposal in zip(jobs, proposals, strict=True)]
        trees = any(proposal.parents is not None for proposal in proposals)
        parents = [proposal.fed_parents() for proposal in proposals] if trees else None
        before = [len(row.tokens) for row in rows]
        logits = self.target.feed(rows, fed, parents)
        picks = _picks(jobs, logits)
        verdicts: list[Verified | Exception] = []
        for i, (job, proposal) in enumerate(zip(jobs, proposals, strict=True)):
            try:
                verdict = verify(job.sampler, logits[i], proposal, self.ends, picks[i])
            except Exception as error:
                verdicts.append(error)
                continue
            # The last token said is fed in the next round, so that its logits come with the next verdict.
            path = verdict.path[: len(verdict.tokens) - 1]
            if trees:
                self.target.keep(rows[i], [0, *(node + 1 for node in path)])
            elif len(path) < len(proposal.tokens):
                self.target.rollback(rows[i], before[i] + 1 + len(path))
            verdicts.append(verdict)
        return verdicts, logits

    def _say(self, job: Job, tokens: list[int]) -> None:
        job.sampler.accept(tokens)
        job.state.seat.tokens.extend(tokens)
        job.state.report.tokens += len(tokens)

    def _learn(
        self,
        arm: Arm,
        jobs: Sequence[Job],
        drafted: Drafted,
        verdicts: Sequence[Verified | Exception],
        draft_seconds: float,
        target_seconds: float,
    ) -> None:
        """Tell the policy what the round took, and share it out among the jobs' reports."""
        judged: list[tuple[int, bool]] = []
        rows = len(jobs)
        plain = self.policy.target.at(rows) / rows if self.policy.target.known(rows) else 0.0
        for job, proposal, verdict in zip(jobs, drafted.proposals, verdicts, strict=True):
            state: _State = job.state
            report = state.report
            report.spent(target_seconds / rows, draft_seconds / rows, drafted.steps, plain)
            if not proposal.tokens or isinstance(verdict, Exception):
                continue
            state.used_draft = True
            accepted = len(verdict.path)
            report.judge(len(proposal.tokens), proposal.depth, accepted, verdict.overlaps, target_seconds / rows)
            judged += [(sign, place < accepted) for place, sign in enumerate(proposal.signs[: accepted + 1])]
        fed = sum(1 + len(proposal.tokens) for proposal in drafted.proposals)
        tokens = sum(len(verdict.tokens) for verdict in verdicts if isinstance(verdict, Verified))
        self.policy.learn(Round(arm, rows, tokens, fed, target_seconds, draft_seconds, drafted.steps, judged))

    def _clock(self) -> float:
        device = self.target.device
        if getattr(device, "type", "cpu") == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()


def _picks(jobs: Sequence[Job], logits: Sequence[Tensor]) -> list[list[int] | None]:
    """Return the likeliest token at each row of the logits for jobs that take it whatever came before, all at once."""
    plain = [i for i, job in enumerate(jobs) if job.sampler.greedy and job.sampler.bare]
    picks: list[list[int] | None] = [None] * len(jobs)
    if plain:
        try:
            flat = jobs[plain[0]].sampler.choose(torch.cat([logits[i] for i in plain]))
        except ModelError:  # in one of the rows, which will say so itself
            return picks
        for i in plain:
            picks[i], flat = flat[: len(logits[i])], flat[len(logits[i]) :]
    return picks
