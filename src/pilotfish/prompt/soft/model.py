"""A large model that labels a text with a small model's label, and how sure it is, before it.

Source: Xu et al. 2023 (Small Models are Valuable Plug-ins for Large Language Models; SuperICL), section 3: the context
of demonstrations with the small model's labels and confidences, then the question's own; an explanation is asked for
where the large model overrides the small one.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeGuard, get_args

import numpy as np

from pilotfish._sync import wait
from pilotfish.errors import ConfigError
from pilotfish.model import Call, Message, Model, Reply, Request, TokenLogprob, Trace, WholeReplies
from pilotfish.models.choosing import chooses
from pilotfish.models.classify._parse import parse_label
from pilotfish.models.classify.labeller import Chooser as WhiteBox
from pilotfish.models.classify.labeller import Labeller, Labels
from pilotfish.prompt.demonstrate.choose import Chooser, Chosen
from pilotfish.prompt.demonstrate.pool import Demonstration, Pool
from pilotfish.prompt.soft.demonstrations import SoftDemonstration
from pilotfish.rows.model_stage import concurrency_of

__all__ = ["INSTRUCTION", "WHY", "Reasons", "SuperICL", "pool_of"]

Reasons = Literal["no", "overrides", "all"]
INSTRUCTION = (
    "Sort the text into exactly one category. With each text stands what a small model takes it for, and how sure it "
    "is: it is often right, and not always. Answer with the category's name and nothing else."
)
WHY = "In a sentence or two: why is this the category, and what of the small model's prediction do you make?"


def _white(model: Model) -> TypeGuard[WhiteBox]:
    return chooses(model)


@dataclass(frozen=True)
class _Small:
    """What the small model says of a text."""

    label: str | None
    confidence: float | None
    trace: Trace


def pool_of(demonstrations: Sequence[SoftDemonstration]) -> Pool:
    """Return the pool that a chooser of soft demonstrations looks in."""
    return Pool(tuple(Demonstration(one.text, one.label) for one in demonstrations))


@dataclass(frozen=True)
class SuperICL(WholeReplies):
    """A large model that is shown a small one's labels.

    A model whose probabilities are here is read by those of the labels; another one answers, and an answer that names
    none is a parse failure: counted, shown, never guessed, as of a `Labeller`. The trace has the small model's calls.

    Attributes:
        model: has the last word.
        plug_in: the small model: a classifier, or anything that answers with a label.
        labels: two or more.
        demonstrations: with the small model's labels, out of fold (`soft_demonstrations`).
        chooser: chooses of them, over `pool_of(demonstrations)`; the paper draws once for all questions (`ByChance`).
        names: label -> the name that the prompt shows.
        instruction: the system message's first paragraph.
        reasons: "overrides": where the large model's label is another than the small one's, it is asked why, and says
            so behind the label, which then is the reply's first line; "all": always.
        max_tokens: of a reason.
        name: in traces.

    Raises:
        ConfigError: as of a `Labeller`; a demonstration with another label, or a chooser over others.
    """

    model: Model
    plug_in: Model
    labels: Sequence[str]
    demonstrations: Sequence[SoftDemonstration] = field(repr=False)
    chooser: Chooser
    names: Mapping[str, str] = field(default_factory=dict)
    instruction: str = INSTRUCTION
    reasons: Reasons = "no"
    max_tokens: int = 128
    name: str = "super-icl"

    def __post_init__(self) -> None:
        examples = [(one.text, one.label) for one in self.demonstrations]
        labeller = Labeller(self.model, self.labels, self.names, examples, self.instruction, name=self.name)
        object.__setattr__(self, "_labeller", labeller)
        if self.reasons not in get_args(Reasons) or self.max_tokens < 1:
            raise ConfigError(f"{self.name}: reasons are {', '.join(get_args(Reasons))}, and max_tokens 1 or more")
        known = {(one.text, one.label): one for one in self.demonstrations}
        missing = [one for one in self.chooser.pool.demonstrations if (one.input, one.output) not in known]
        if missing:
            raise ConfigError(f"{self.name}: the chooser has a demonstration that is none here: {missing[0].input!r}")
        shown = [known[one.input, one.output] for one in self.chooser.pool.demonstrations]
        object.__setattr__(self, "_shown", shown)

    @property
    def _by_name(self) -> dict[str, str]:
        labeller: Labeller = self._labeller  # type: ignore[attr-defined]
        return labeller.shown

    def request(self, text: str, predicted: str | None, confidence: float | None, places: Sequence[int]) -> Request:
        """Return what the large model is asked about a text, with the small model's label of it.

        Args:
            text: what is labelled.
            predicted: the small model's label; None where it gave none.
            confidence: its probability; None where it tells none.
            places: of the demonstrations in the chooser's pool, in the order in which they are shown.
        """
        held: list[SoftDemonstration] = self._shown  # type: ignore[attr-defined]
        listing = "\n".join(f"- {name}" for name in self._by_name.values())
        messages = [Message("system", f"{self.instruction}\n\nCategories:\n{listing}")]
        for place in places:
            one = held[place]
            messages.append(Message("user", self._framed(one.text, one.predicted, one.confidence)))
            messages.append(Message("assistant", self._by_name[one.label]))
        messages.append(Message("user", self._framed(text, predicted, confidence)))
        longest = max(len(name) for name in self._by_name.values())
        return Request(messages=tuple(messages), temperature=0.0, max_tokens=longest + 16)

    def _framed(self, text: str, predicted: str | None, confidence: float | None) -> str:
        said = "none" if predicted is None else self._by_name.get(predicted, predicted)
        sure = "" if confidence is None else f" (confidence: {confidence:.2f})"
        return f"Text: {text}\nThe small model's prediction: {said}{sure}"

    def predict(self, texts: Sequence[str]) -> Labels:
        """Label texts, many at once; the traces hold both models' calls.

        Raises:
            UpstreamError: an endpoint failed after its retries.
        """
        return wait(self._labels(texts))

    async def _labels(self, texts: Sequence[str]) -> Labels:
        small = await self._small(texts)
        chosen = await asyncio.to_thread(self.chooser.choose, list(texts))
        asked = list(zip(texts, small, chosen, strict=True))
        if not _white(self.model):
            gate = asyncio.Semaphore(concurrency_of(self.model, None))

            async def one(text: str, said: _Small, places: Sequence[int]) -> Reply:
                async with gate:
                    return await self.model.reply(self.request(text, said.label, said.confidence, places))

            shown = [self.chooser.ordered(found.places, found.scores) for _, _, found in asked]
            replies = await asyncio.gather(
                *(one(text, said, places) for (text, said, _), places in zip(asked, shown, strict=True))
            )
            labels = [parse_label(reply.text, self._by_name) for reply in replies]
            traces = [said.trace + reply.trace for said, reply in zip(small, replies, strict=True)]
            return Labels(labels, None, traces, [False] * len(texts))
        return await asyncio.to_thread(self._by_probability, self.model, asked)

    def _by_probability(self, model: WhiteBox, asked: Sequence[tuple[str, _Small, Chosen]]) -> Labels:
        made = [self._fitted(model, text, said, chosen) for text, said, chosen in asked]
        if not made:
            return Labels([], np.zeros((0, len(self.labels))), [], [])
        contexts = [model.render(request) for request, _ in made]
        started = time.perf_counter()
        raw = model.choices(contexts, list(self._by_name.values()))
        each = (time.perf_counter() - started) / len(made)
        raw = raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)
        traces = [
            said.trace + Trace((Call(model.name, "labeller", model.count(context), 0, each),))
            for (_, said, _), context in zip(asked, contexts, strict=True)
        ]
        labels: list[str | None] = [self.labels[at] for at in raw.argmax(axis=1)]
        return Labels(labels, raw, traces, [cut for _, cut in made])

    def _fitted(self, model: WhiteBox, text: str, said: _Small, chosen: Chosen) -> tuple[Request, bool]:
        """Return what is asked, cut to fit: demonstrations go first, the one taken last before others; then the text.

        Raises:
            ConfigError: the model has no room for the labels alone.
        """
        room = model.max_length - max(model.count(name) for name in self._by_name.values()) - 2

        def asked(length: int, count: int) -> Request:
            shown = self.chooser.ordered(chosen.places[:count], chosen.scores[:count])
            return self.request(text[:length], said.label, said.confidence, shown)

        def fits(length: int, count: int) -> bool:
            return model.count(model.render(asked(length, count))) <= room

        for count in range(len(chosen.places), -1, -1):
            if fits(len(text), count):
                return asked(len(text), count), count < len(chosen.places)
        if not fits(1, 0):
            raise ConfigError(f"{model.name}: its {model.max_length} tokens do not hold the labels")
        low, high = 1, len(text)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle, 0) else (low, middle)
        return asked(low, 0), True

    async def _small(self, texts: Sequence[str]) -> list[_Small]:
        gate = asyncio.Semaphore(concurrency_of(self.plug_in, None))

        async def one(text: str) -> _Small:
            async with gate:
                reply = await self.plug_in.reply(Request.of(text, temperature=0.0))
            label = parse_label(reply.text, self._by_name)
            told = reply.logprobs[0] if reply.logprobs is not None and len(reply.logprobs) == 1 else None
            sure = None if told is None or label is None else min(1.0, math.exp(told.logprob))
            return _Small(label, sure, reply.trace)

        return list(await asyncio.gather(*(one(text) for text in texts)))

    async def reply(self, request: Request) -> Reply:
        """Return the label of the last user turn, the small model's label of it known; and why, where that is wanted.

        A reply that names no label is passed on as the model wrote it, with the finish reason "parse_failure".
        """
        if request.n > 1:
            raise ConfigError(f"{self.name}: it gives one label, and n = {request.n} asks for several answers")
        text = request.prompt
        (said,) = await self._small([text])
        (chosen,) = await asyncio.to_thread(self.chooser.choose, [text])
        if _white(self.model):
            found = await asyncio.to_thread(self._by_probability, self.model, [(text, said, chosen)])
            assert found.logprobs is not None
            order = np.argsort(-found.logprobs[0], kind="stable")
            ranked = tuple((self.labels[at], float(found.logprobs[0][at])) for at in order)
            label: str | None = ranked[0][0]
            reply = Reply(ranked[0][0], logprobs=(TokenLogprob(*ranked[0], ranked),), trace=found.traces[0])
        else:
            shown = self.chooser.ordered(chosen.places, chosen.scores)
            asked = self.request(text, said.label, said.confidence, shown)
            answer = await self.model.reply(asked.with_(logprobs=request.logprobs, top_logprobs=request.top_logprobs))
            label = parse_label(answer.text, self._by_name)
            reply = answer.with_(trace=said.trace + answer.trace)
            if label is None:
                failed = reply.with_(finish_reason="parse_failure")
                return failed.decided(self.name, "no label in the answer", said.confidence)
            reply = reply.with_(text=label)
        kept = label == said.label
        reply = reply.decided(
            self.name, "the small model's label" if kept else "not the small model's label", said.confidence
        )
        if self.reasons == "no" or (kept and self.reasons == "overrides"):
            return reply
        return await self._reasoned(text, said, chosen, str(label), reply)

    async def _reasoned(self, text: str, said: _Small, chosen: Chosen, label: str, reply: Reply) -> Reply:
        shown = self.chooser.ordered(chosen.places, chosen.scores)
        if _white(self.model):
            first, _ = await asyncio.to_thread(self._fitted, self.model, text, said, chosen)
        else:
            first = self.request(text, said.label, said.confidence, shown)
        turns = (*first.messages, Message("assistant", self._by_name[label]), Message("user", WHY))
        why = await self.model.reply(Request(messages=turns, temperature=0.0, max_tokens=self.max_tokens))
        whole = reply.with_(trace=reply.trace + why.trace)
        reason = why.text.strip()
        return whole.with_(text=f"{reply.text}\n\n{reason}") if reason else whole.decided(self.name, "no reason given")
