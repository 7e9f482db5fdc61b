"""A frozen model whose answers a small energy steers, sentence by sentence; and how the two are taught together.

Source: Sun et al. 2024 (BBox-Adapter), section 3.2, equation 2 (adapted inference as beam search over sentences, each
of which the frozen model proposes and the energy scores) and section 3.4 (online adaptation: wrong answers come from
what the adapted model says now, right ones from people or from a judge).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pilotfish.adapt.energy import Energy, Ranked
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.measure.judging import filled_in
from pilotfish.model import Model, Reply, Request, Trace, WholeReplies
from pilotfish.rows.asking import asked

__all__ = ["Adapted", "Online", "online"]

STEP = """{question}

The answer so far:
{so_far}

Write only the next sentence of the answer. Where it is complete, write only: DONE"""
_DONE = "DONE"


@dataclass(frozen=True)
class Adapted(WholeReplies):
    """A model that answers a sentence at a time: several next sentences are proposed, and an energy keeps the best.

    All calls are paid for: beams times proposals for each step. Whole answers, of which the energy picks one, are
    `pilotfish.models.best_of.BestOfN`, which takes an `Energy` as its reward.

    Attributes:
        model: proposes; it stays as it is.
        energy: (prompt, partial answers) -> scores.
        beams: partial answers that are kept.
        proposals: next sentences for each of them.
        steps: the most sentences.
        temperature: of proposals.
        sentence_tokens: of one sentence at most.
        name: in traces.

    Raises:
        ConfigError: a setting out of range.
    """

    model: Model
    energy: Callable[[str, Sequence[str]], Sequence[float]]
    beams: int = 3
    proposals: int = 3
    steps: int = 8
    temperature: float = 1.0
    sentence_tokens: int = 96
    name: str = "adapted"

    def __post_init__(self) -> None:
        if min(self.beams, self.proposals, self.steps, self.sentence_tokens) < 1 or self.temperature <= 0:
            raise ConfigError(f"{self.name}: beams, proposals, steps and tokens are 1 or more, the temperature above 0")

    async def reply(self, request: Request) -> Reply:
        """Return the complete answer of the best score; where none is complete, the best partial one.

        Raises:
            ModelError: the energy gives no numbers.
        """
        question = request.prompt
        beams: list[_Beam] = [_Beam("")]
        trace = Trace()
        for step in range(self.steps):
            open_ = [beam for beam in beams if not beam.done]
            if not open_:
                break
            said = await asyncio.gather(
                *(
                    self.model.reply(self._next(request, beam, number, step, place))
                    for place, beam in enumerate(open_)
                    for number in range(self.proposals)
                )
            )
            trace += sum((reply.trace for reply in said), Trace())
            grown = [beam for beam in beams if beam.done]
            for at, reply in enumerate(said):
                grown.append(open_[at // self.proposals].with_next(reply.text))
            unique = list({(beam.text, beam.done): beam for beam in grown}.values())
            beams = await self._best(question, unique)
        complete = [beam for beam in beams if beam.done] or beams
        best = max(complete, key=lambda beam: beam.score)
        finish = "stop" if best.done else "length"
        told = Reply(best.text, finish_reason=finish, trace=trace)
        return told.decided(self.name, f"best of {len(beams)} beams", best.score)

    async def _best(self, question: str, beams: Sequence[_Beam]) -> list[_Beam]:
        scores = [float(one) for one in await asyncio.to_thread(self.energy, question, [beam.text for beam in beams])]
        if len(scores) != len(beams) or not all(abs(one) < float("inf") for one in scores):
            raise ModelError(f"{self.name}: the energy gave {scores!r} for {len(beams)} answers")
        scored = [replace(beam, score=score) for beam, score in zip(beams, scores, strict=True)]
        return sorted(scored, key=lambda beam: -beam.score)[: self.beams]

    def _next(self, request: Request, beam: _Beam, number: int, step: int, place: int) -> Request:
        # With nothing said yet the question is asked as it is, so that a model's own way to answer is kept.
        text = request.prompt
        if beam.text:
            text = filled_in(STEP, question=request.prompt, so_far=beam.text)
        call = (step * self.beams + place) * self.proposals + number
        sample = request.sampled(call, self.steps * self.beams * self.proposals)
        return request.with_prompt(text).with_(
            temperature=request.temperature or self.temperature,
            max_tokens=self.sentence_tokens,
            seed=None if request.seed is None else request.seed + call,
            n=1,
            logprobs=False,
            top_logprobs=0,
            metadata={**request.metadata, "sample": sample},
        )


@dataclass(frozen=True)
class _Beam:
    text: str
    done: bool = False
    score: float = 0.0

    def with_next(self, said: str) -> _Beam:
        """Return it with the next sentence: the first line that is not empty; DONE or nothing ends it."""
        line = next((line.strip() for line in said.splitlines() if line.strip()), "")
        if not line or line.strip(" .*`").upper() == _DONE:
            return replace(self, done=True)
        ends = line.endswith(_DONE)
        line = line.removesuffix(_DONE).rstrip() if ends else line
        return _Beam(f"{self.text}\n{line}" if self.text else line, ends)


@dataclass(frozen=True)
class Online:
    """What a round of online adaptation did.

    Attributes:
        number: of the round, from 0.
        right: the share of drawn answers that were right.
        rows: that the energy learnt from, those of earlier rounds too.
        picked: the share of prompts whose picked answer was right.
    """

    number: int
    right: float
    rows: int
    picked: float


def online(
    model: Model,
    prompts: Sequence[str],
    right: Callable[[int, str], bool],
    make: Callable[[int], Energy],
    folder: str | Path,
    *,
    given: Sequence[str | None] | None = None,
    rounds: int = 2,
    draws: int = 4,
    temperature: float = 1.0,
    max_tokens: int = 256,
    concurrency: int | None = None,
) -> tuple[Energy, list[Online]]:
    """Teach an energy from a frozen model's own answers, round by round; each answer is paid for once.

    A round draws answers and puts each right one, of all rounds so far, beside the wrong ones to the same prompt that
    the last round's energy scores highest: what the adapted model would say now. A new energy learns from these rows.

    Args:
        model: stays as it is.
        prompts: to learn from.
        right: from a prompt's number and an answer to whether that is right: a comparison with what is known, a check,
            a judge.
        make: the energy of a round, untaught.
        folder: where answers are stored, a folder a round.
        given: a right answer of people's to each prompt, for those to which the model gives none; None has none.
        rounds: how many.
        draws: answers to each prompt and round.
        temperature: of them.
        max_tokens: of them.
        concurrency: calls at once; None goes by the model.

    Raises:
        ConfigError: no rounds or draws.
        DataError: no prompt has both a right and a wrong answer.
    """
    if rounds < 1 or draws < 2:
        raise ConfigError("one round and two answers at least")
    pool: dict[int, tuple[dict[str, None], dict[str, None]]] = {at: ({}, {}) for at in range(len(prompts))}
    found: list[Online] = []
    energy: Energy | None = None
    for number in range(rounds):
        asking = [
            (Request.of(prompt, temperature=temperature, max_tokens=max_tokens, seed=1000 * number + draw), draw)
            for prompt in prompts
            for draw in range(draws)
        ]
        said = asked(model, asking, Path(folder) / f"round-{number}", concurrency=concurrency).said
        texts = ["" if one is None else one.text for one in said]
        good = 0
        picked = 0
        for at, prompt in enumerate(prompts):
            mine = [text for text in texts[at * draws : (at + 1) * draws] if text]
            verdicts = {text: right(at, text) for text in dict.fromkeys(mine)}
            good += sum(verdicts[text] for text in mine)
            if mine:
                scores = energy(prompt, mine) if energy is not None else [0.0] * len(mine)
                picked += verdicts[mine[int(np.argmax(scores))]]
            for text, is_right in verdicts.items():
                pool[at][0 if is_right else 1][text] = None
        rows = []
        for at, prompt in enumerate(prompts):
            rights, wrongs = list(pool[at][0]), list(pool[at][1])
            if not rights and given is not None and given[at]:
                rights = [str(given[at])]
            if energy is not None and len(wrongs) > draws:
                scores = energy(prompt, wrongs)
                wrongs = [wrongs[i] for i in np.argsort(-np.asarray(scores), kind="stable")[:draws]]
            rows += [Ranked(prompt, one, tuple(text for text in wrongs if text != one)) for one in rights]
        rows = [row for row in rows if row.wrong]
        if len(rows) < 2:
            raise DataError(f"round {number}: fewer than two prompts have both a right and a wrong answer")
        energy = make(number).fit(rows)
        share = good / max(1, sum(bool(text) for text in texts))
        found.append(Online(number, share, len(rows), picked / max(1, len(prompts))))
    assert energy is not None
    return energy, found
