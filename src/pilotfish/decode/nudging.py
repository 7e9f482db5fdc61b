"""Nudging, word by word: a small aligned model says the next word where the large base model is unsure.

Source: Fei et al. 2025 (Nudging: Inference-time Alignment of LLMs via Guided Decoding), section 3 and algorithm 1. What
goes from one model to the other is text, so the two may have different tokenizers. `decode.rules.nudge` is the same
decision for single tokens of one vocabulary.
"""

from __future__ import annotations

import dataclasses
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from pilotfish.decode.decoder import Decoder
from pilotfish.decode.retoken import Follower, advance, ids_after, ids_of, text_of
from pilotfish.decode.rules.nudge import unsure
from pilotfish.decode.sampler import Sampler, choose_each
from pilotfish.decode.strategy import Job, Step, Tally, open_rows, row_of
from pilotfish.decode.text import HALF
from pilotfish.errors import ModelError
from pilotfish.model import Call, Decision

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Nudging", "Voice"]

# A word with the white space before it, once something stands after it.
WORD = re.compile(r"\s*\S+(?=\s)")
# A word that is longer is handed over in part.
WORD_TOKENS = 12


@dataclass(frozen=True)
class Voice:
    """One of the two models: its decoder, tokenizer, end tokens and name."""

    decoder: Decoder
    tokenizer: Any
    ends: frozenset[int]
    name: str


@dataclass(eq=False)
class _State:
    """`logits` (vocabulary,) stand after the base's row; `waiting` are tokens that are said but not fed to it yet."""

    logits: Tensor
    follower: Follower
    sampler: Sampler
    waiting: list[int] = dataclasses.field(default_factory=list)
    nudged: int = 0
    seconds: list[float] = dataclasses.field(default_factory=lambda: [0.0, 0.0])
    fed: list[int] = dataclasses.field(default_factory=lambda: [0, 0])


class Nudging:
    """The base's tokens while its top-1 probability reaches `gamma`, else the nudging model's next word.

    A job's prompt holds the base's prompt and then the nudging model's. Temperature and truncation hold for both;
    penalties, bias and constraint for the base, and a word that the constraint forbids is not taken. Where the nudging
    model ends its answer, so does the pair.

    Args:
        base: the large model.
        nudge: the small aligned one.
        gamma: see `decode.rules.nudge`.
        name: of the decision in the trace.
    """

    def __init__(self, base: Voice, nudge: Voice, gamma: float = 0.4, *, name: str = "nudged") -> None:
        self.base = base
        self.vocabulary, self.device = base.decoder.vocabulary, base.decoder.device
        self.nudge = nudge
        self.gamma = gamma
        self.name = name

    def begin(self, jobs: Sequence[Job]) -> None:
        """Run the prompts through both models.

        Raises:
            ModelError: a prompt does not fit one of them; then no row is left open.
        """
        members = self.base.decoder.members
        started = time.perf_counter()
        logits = open_rows(self.base.decoder, jobs, [job.prompt[:members] for job in jobs])
        between = time.perf_counter()
        try:
            rows, first = self.nudge.decoder.start([job.prompt[members:] for job in jobs])
        except BaseException:
            for job in jobs:
                self.base.decoder.close(row_of(job))
                job.row = None
            raise
        spent = (between - started) / len(jobs), (time.perf_counter() - between) / len(jobs)
        for job, after, row, nudge in zip(jobs, logits, rows, first, strict=True):
            settings = dataclasses.replace(
                job.sampler.sampling,
                repetition_penalty=1.0,
                presence_penalty=0.0,
                frequency_penalty=0.0,
                logit_bias={},
                # Another stream than the base's, and another for each sample.
                seed=int(job.sampler.fork(1).uniform() * 2**53),
            )
            sampler = Sampler(settings, self.nudge.decoder.vocabulary, (), None, self.nudge.decoder.device)
            job.state = _State(after, Follower(row, nudge, nudge), sampler, seconds=list(spent))

    def step(self, jobs: Sequence[Job]) -> list[Step]:
        """Give each job a token of the base's or a word of the nudging model's."""
        self._catch_up([job for job in jobs if job.state.waiting])
        asked = [job for job in jobs if self._asks(job)]
        words = dict(zip(map(id, asked), self._words(asked), strict=True))
        own = [job for job in jobs if not words.get(id(job))]
        logits = [job.state.logits for job in own]
        chosen = dict(zip(map(id, own), choose_each([job.sampler for job in own], logits), strict=True))
        return [self._said(job, words.get(id(job)) or chosen[id(job)]) for job in jobs]

    def end(self, job: Job) -> Tally:
        """Close both rows; tell what each model did, and the share of tokens that were nudged."""
        if job.row is None:
            return Tally()
        state: _State = job.state
        members = self.base.decoder.members
        sizes = [sum(map(len, part)) for part in (job.prompt[:members], job.prompt[members:])]
        calls = [
            Call(voice.name, role, size, fed, seconds)
            for voice, role, size, fed, seconds in zip(
                (self.base, self.nudge), ("base", "nudging"), sizes, state.fed, state.seconds, strict=True
            )
        ]
        self.base.decoder.close(job.row)
        self.nudge.decoder.close(state.follower.row)
        job.row = None
        said = len(job.sampler.tokens)
        return Tally(calls, [Decision(self.name, "nudged", state.nudged / said if said else 0.0)])

    def _catch_up(self, jobs: Sequence[Job]) -> None:
        """Feed the base what has been said since."""
        if not jobs:
            return
        started = time.perf_counter()
        fed = self.base.decoder.feed([row_of(job) for job in jobs], [job.state.waiting for job in jobs])
        self._spent(0, jobs, [len(job.state.waiting) for job in jobs], started)
        for job, logits in zip(jobs, fed, strict=True):
            job.state.logits = logits[-1]
            job.state.waiting = []

    def _asks(self, job: Job) -> bool:
        """Say whether the base is unsure, at a place where there is a text to go on from."""
        if not bool(unsure(job.state.logits, self.gamma)):
            return False
        return not text_of(self.base.tokenizer, job.sampler.tokens[-8:]).endswith(HALF)

    def _words(self, jobs: Sequence[Job]) -> list[list[int]]:
        """Return the nudging model's next word for each job, in the base's tokens; empty where it has none to offer."""
        wanted = [ids_of(self.nudge.tokenizer, text_of(self.base.tokenizer, job.sampler.tokens)) for job in jobs]
        decoder = self.nudge.decoder
        able = [
            (job, ids)
            for job, ids in zip(jobs, wanted, strict=True)
            # Where its context is full the base goes on alone.
            if len(ids) + WORD_TOKENS < len(job.state.follower.row.tokens) + decoder.room(job.state.follower.row)
        ]
        started = time.perf_counter()
        sizes = advance(decoder, [job.state.follower for job, _ in able], [ids for _, ids in able])
        self._spent(1, [job for job, _ in able], sizes, started)
        written: dict[int, list[int]] = {id(job): [] for job, _ in able}
        ended: set[int] = set()
        texts = {id(job): "" for job, _ in able}
        live = [job for job, _ in able]
        logits = [job.state.follower.last for job in live]
        for turn in range(WORD_TOKENS):
            if not live:
                break
            going = []
            for job, after in zip(live, logits, strict=True):
                token = job.state.sampler.choose(after[None])[0]
                if token in self.nudge.ends:
                    ended.add(id(job))
                    continue
                written[id(job)].append(token)
                texts[id(job)] = self._new_text(job, written[id(job)])
                if not WORD.match(texts[id(job)]):
                    going.append(job)
            live = going
            if live and turn < WORD_TOKENS - 1:
                started = time.perf_counter()
                fed = decoder.feed([job.state.follower.row for job in live], [written[id(job)][-1:] for job in live])
                self._spent(1, live, [1] * len(live), started)
                logits = [after[-1] for after in fed]
                for job, after in zip(live, logits, strict=True):
                    # The word stays in the row: where the base takes it as it is, it need not be run again.
                    job.state.follower.last = after
                    job.state.follower.logps.append(math.nan)  # nobody asks for it here
        return [self._word(job, texts.get(id(job), ""), id(job) in ended) for job in jobs]

    def _new_text(self, job: Job, tokens: Sequence[int]) -> str:
        """Return the text that some tokens add to what the nudging model stands after."""
        stood = len(job.state.follower.row.tokens) - (len(tokens) - 1)
        tail = job.state.follower.row.tokens[max(0, stood - 4) : stood]
        return text_of(self.nudge.tokenizer, [*tail, *tokens])[len(text_of(self.nudge.tokenizer, tail)) :]

    def _word(self, job: Job, text: str, ended: bool) -> list[int]:
        """Return a word in the base's tokens, an end token where there is only an end, or none that may be said."""
        if not text:
            tokens = [min(self.base.ends)] if ended and self.base.ends else []
        else:
            found = WORD.match(text)
            text = found.group() if found else text
            tokens = [] if HALF in text else ids_after(self.base.tokenizer, job.sampler.tokens, text)
        if tokens and job.sampler.constraint is not None:
            try:
                job.sampler.constraint.fork().accept(tokens)
            except ModelError:  # the base will find a word that fits
                return []
        return tokens

    def _said(self, job: Job, said: Any) -> Step:
        """Accept what a job says next and keep it to be fed."""
        state: _State = job.state
        try:
            if isinstance(said, Exception):
                raise said
            tokens = said if isinstance(said, list) else [said]
            tokens = tokens[: max(1, job.limit - len(job.sampler.tokens))]
            job.sampler.accept(tokens)
        except Exception as error:  # of this row's constraint or rule: the others go on
            return Step([], error=error)
        if isinstance(said, list):
            state.nudged += len(tokens)
        logits = None
        if job.wants_logits:
            logits = state.logits[None]
            if len(tokens) > 1:
                (more,) = self.base.decoder.feed([row_of(job)], [tokens[:-1]])
                state.fed[0] += len(tokens) - 1
                logits = torch.cat([logits, more])
        state.waiting = tokens[-1:] if job.wants_logits else list(tokens)
        return Step(list(tokens), logits)

    def _spent(self, which: int, jobs: Sequence[Job], sizes: Sequence[int], started: float) -> None:
        took = time.perf_counter() - started
        for job, size in zip(jobs, sizes, strict=True):
            job.state.fed[which] += size
            job.state.seconds[which] += took / len(jobs)
