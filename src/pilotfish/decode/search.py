"""Weak-to-strong search: chunk-level beam search on a large model, judged by what tuning did to a small one.

Source: Zhou et al. 2024 (Weak-to-Strong Search: Align Large Language Models via Searching over Small Language Models),
section 4.2, algorithm 1: CBS(W, K, L). Of W x K continuations of L tokens, sampled from the large model, the W are kept
that have the largest log π_tuned(y | x) - log π_ref(y | x) over the whole answer so far. CBS(1, N, ∞) is best-of-N.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from pilotfish.decode.decoder import Decoder, Prompt, Row
from pilotfish.decode.retoken import Follower, advance, ids_of
from pilotfish.decode.sampler import Sampler, choose_each
from pilotfish.decode.strategy import Job, Step, Tally, open_rows, row_of
from pilotfish.errors import ModelError
from pilotfish.model import Call, Decision

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ChunkBeamSearch", "Judge"]


@dataclass(frozen=True)
class Judge:
    """One model of the small pair. With `tokenizer` answers reach it as text, else as the base's tokens."""

    decoder: Decoder
    name: str
    tokenizer: Any = None


@dataclass(eq=False)
class _Beam:
    """One continuation. `logits` stand after all its tokens, or None where the last one is not fed yet."""

    row: Row
    sampler: Sampler
    judged: list[Follower]
    logits: Tensor | None
    chunk: int = 0
    ended: bool = False
    raw: list[Tensor] = field(default_factory=list)

    @property
    def tokens(self) -> list[int]:
        return self.sampler.tokens

    @property
    def score(self) -> float:
        """The sum of log π_tuned - log π_ref of all its tokens that were judged, in nats."""
        tuned, reference = self.judged
        return sum(tuned.logps) - sum(reference.logps)


@dataclass(eq=False)
class _State:
    beams: list[_Beam]
    shown: int = 0
    forks: int = 0
    fed: list[int] = field(default_factory=lambda: [0, 0, 0])
    seconds: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])


class ChunkBeamSearch:
    """CBS(beams, successors, chunk) as a strategy. A step adds one token to every continuation of every job.

    Only what all living beams agree on is given out, so a step gives often nothing; an answer is never taken back. A
    job's prompt holds the base's prompt, then the tuned model's, then the reference's. Continuations are drawn by the
    job's own sampling; where that is greedy they are all the same, and the search finds what the base alone says.

    Args:
        base: the large model.
        judges: the small model that was tuned, and the one it was tuned from.
        ends: the tokens that end an answer.
        beams: W, how many continuations are kept.
        successors: K, how many of each are drawn.
        chunk: L, tokens between two selections; 0 for the whole answer.
        base_name: for the trace.
        text: turns the base's tokens into text, where a judge has a tokenizer of its own.
        name: of the decision in the trace.
    """

    def __init__(
        self,
        base: Decoder,
        judges: tuple[Judge, Judge],
        ends: frozenset[int],
        *,
        beams: int = 4,
        successors: int = 4,
        chunk: int = 5,
        base_name: str = "base",
        text: Callable[[Sequence[int]], str] | None = None,
        name: str = "weak-to-strong-search",
    ) -> None:
        self.base = base
        self.vocabulary, self.device = base.vocabulary, base.device
        self.judges = judges
        self.ends = ends
        self.beams = beams
        self.successors = successors
        self.chunk = chunk
        self.base_name = base_name
        self.name = name
        self._text = text

    def begin(self, jobs: Sequence[Job]) -> None:
        """Run the prompts through the three models and open W x K continuations a job.

        Raises:
            ModelError: a prompt does not fit one of the models; then no row is left open.
        """
        opened: list[tuple[Decoder, Row]] = []
        try:
            started = time.perf_counter()
            logits = open_rows(self.base, jobs, [self._part(job.prompt, 0) for job in jobs])
            opened += [(self.base, row_of(job)) for job in jobs]
            took = [time.perf_counter() - started]
            judged: list[list[Follower]] = [[] for _ in jobs]
            for i, judge in enumerate(self.judges, 1):
                started = time.perf_counter()
                rows, first = judge.decoder.start([self._part(job.prompt, i) for job in jobs])
                opened += [(judge.decoder, row) for row in rows]
                took.append(time.perf_counter() - started)
                for followers, job, row, after in zip(judged, jobs, rows, first, strict=True):
                    followers.append(Follower(row, after, after))
                    if judge.tokenizer is None:
                        job.limit = min(job.limit, judge.decoder.room(row))
                        if job.limit < 1:
                            raise ModelError(f"the prompt leaves {judge.name} no room for an answer: shorten it")
        except BaseException:
            for decoder, row in opened:
                decoder.close(row)
            for job in jobs:
                job.row = None
            raise
        for job, after, followers in zip(jobs, logits, judged, strict=True):
            state = job.state = _State([], seconds=[part / len(jobs) for part in took])
            first_beam = _Beam(row_of(job), job.sampler.fork(), followers, after)
            state.beams = self._spread(state, first_beam, self.beams * self.successors)

    def step(self, jobs: Sequence[Job]) -> list[Step]:
        """Add a token to every continuation; where a job's chunks are complete, keep the best and show what is sure."""
        live = [(job, beam) for job in jobs for beam in job.state.beams if self._going(beam)]
        self._feed(live)
        chosen = choose_each([beam.sampler for _, beam in live], [_logits(beam) for _, beam in live])
        errors: dict[int, Exception] = {}
        for (job, beam), token in zip(live, chosen, strict=True):
            try:
                if isinstance(token, Exception):
                    raise token
                beam.sampler.accept([token])
            except Exception as error:  # of one job's constraint: the others go on
                errors[id(job)] = error
                continue
            if job.wants_logits:
                beam.raw.append(_logits(beam))
            beam.logits = None
            beam.chunk += 1
            beam.ended = token in self.ends or len(beam.tokens) >= job.limit
        ready = [
            job for job in jobs if id(job) not in errors and not any(self._going(beam) for beam in job.state.beams)
        ]
        self._judge(ready)
        self._select(ready)
        return [self._shown(job) if id(job) not in errors else Step([], error=errors[id(job)]) for job in jobs]

    def end(self, job: Job) -> Tally:
        """Close all rows; tell what each model did, and the score of the best continuation."""
        if job.row is None:
            return Tally()
        state: _State = job.state
        names = (self.base_name, *(judge.name for judge in self.judges))
        roles = ("base", "tuned", "reference")
        calls = [
            Call(name, role, sum(len(ids) for ids in self._part(job.prompt, i)), state.fed[i], state.seconds[i])
            for i, (name, role) in enumerate(zip(names, roles, strict=True))
        ]
        best = max((beam.score for beam in state.beams), default=0.0)
        for beam in state.beams:
            self._close(beam)
        job.row = None
        return Tally(calls, [Decision(self.name, f"best of {state.forks} continuations", best)])

    def _going(self, beam: _Beam) -> bool:
        return not beam.ended and not (self.chunk and beam.chunk >= self.chunk)

    def _feed(self, live: Sequence[tuple[Job, _Beam]]) -> None:
        """Feed the last tokens of those whose logits are not known, in one pass."""
        old = [(job, beam) for job, beam in live if beam.logits is None]
        if not old:
            return
        started = time.perf_counter()
        fed = self.base.feed([beam.row for _, beam in old], [beam.tokens[-1:] for _, beam in old])
        took = (time.perf_counter() - started) / len(old)
        for (job, beam), logits in zip(old, fed, strict=True):
            beam.logits = logits[-1]
            job.state.fed[0] += 1
            job.state.seconds[0] += took

    def _judge(self, jobs: Sequence[Job]) -> None:
        """Bring both small models up to every continuation of these jobs, one pass a model."""
        pairs = [(job, beam) for job in jobs for beam in job.state.beams]
        for i, judge in enumerate(self.judges):
            started = time.perf_counter()
            wanted = [self._answer(judge, beam) for _, beam in pairs]
            followers = [beam.judged[i] for _, beam in pairs]
            for follower, ids in zip(followers, wanted, strict=True):
                # An answer that its context cannot hold is judged by its beginning.
                del ids[len(follower.row.tokens) + judge.decoder.room(follower.row) :]
            sizes = advance(judge.decoder, followers, wanted)
            took = (time.perf_counter() - started) / max(1, len(pairs))
            for (job, _), size in zip(pairs, sizes, strict=True):
                job.state.fed[i + 1] += size
                job.state.seconds[i + 1] += took

    def _answer(self, judge: Judge, beam: _Beam) -> list[int]:
        """Return a continuation in a judge's tokens."""
        if judge.tokenizer is None:
            return list(beam.tokens)
        over = bool(beam.tokens) and beam.tokens[-1] in self.ends
        assert self._text is not None, "a judge with a tokenizer of its own needs the text"
        ids = ids_of(judge.tokenizer, self._text(beam.tokens[: len(beam.tokens) - over]))
        return [*ids, judge.tokenizer.eos_token_id] if over and judge.tokenizer.eos_token_id is not None else ids

    def _select(self, jobs: Sequence[Job]) -> None:
        """Keep each job's best continuations, and open new ones after those that go on."""
        kept: list[tuple[Job, list[_Beam]]] = []
        for job in jobs:
            state: _State = job.state
            # The first of equals stays, whatever the batch was.
            order = sorted(range(len(state.beams)), key=lambda i: (-state.beams[i].score, i))
            kept.append((job, [state.beams[i] for i in order[: self.beams]]))
            for i in order[self.beams :]:
                self._close(state.beams[i])
        # Once for each that stays, not once for each of its successors.
        self._feed([(job, beam) for job, beams in kept for beam in beams if not beam.ended])
        for job, beams in kept:
            job.state.beams = []
            over = all(beam.ended for beam in beams)
            for beam in beams:
                beam.chunk = 0
                job.state.beams += [beam] if beam.ended or over else self._spread(job.state, beam, self.successors)

    def _spread(self, state: _State, beam: _Beam, count: int) -> list[_Beam]:
        """Return so many copies of a continuation, itself the last, which will be drawn apart."""
        if beam.sampler.greedy:
            count = 1
        made = []
        for _ in range(count - 1):
            state.forks += 1
            followers = [follower.fork(judge.decoder) for follower, judge in zip(beam.judged, self.judges, strict=True)]
            sampler = beam.sampler.fork(state.forks)
            made.append(_Beam(self.base.fork(beam.row), sampler, followers, beam.logits, raw=list(beam.raw)))
        state.forks += 1
        return [*made, beam]

    def _shown(self, job: Job) -> Step:
        """Give out what all beams agree on and was not given yet; all of the best one where none goes on."""
        state: _State = job.state
        if all(beam.ended for beam in state.beams):
            best = max(state.beams, key=lambda beam: beam.score)
            sure = best.tokens
        else:
            columns = zip(*(beam.tokens for beam in state.beams), strict=False)
            sure = [column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns)]
            best = state.beams[0]
        tokens = sure[state.shown :]
        logits = None
        if job.wants_logits and tokens:
            import torch

            logits = torch.stack(best.raw[state.shown : len(sure)])
        state.shown = len(sure)
        try:
            job.sampler.accept(tokens)
        except Exception as error:  # of this row's constraint
            return Step([], error=error)
        return Step(list(tokens), logits)

    def _part(self, prompt: Prompt, which: int) -> Prompt:
        """Return the prompt of the base (0), the tuned model (1) or the reference (2)."""
        decoders = (self.base, *(judge.decoder for judge in self.judges))
        start = sum(decoder.members for decoder in decoders[:which])
        return prompt[start : start + decoders[which].members]

    def _close(self, beam: _Beam) -> None:
        self.base.close(beam.row)
        for judge, follower in zip(self.judges, beam.judged, strict=True):
            judge.decoder.close(follower.row)


def _logits(beam: _Beam) -> Tensor:
    assert beam.logits is not None, "fed before it is drawn from"
    return beam.logits
