"""A model whose prompts are made shorter first: any compressor in front of any model.

What is asked is never touched unless that is wanted: of the last user turn only what stands beside the question.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Call, Decision, Delta, Message, Model, Reply, Request, Trace
from pilotfish.prompt.compress.compressor import Compressor, paragraphs_of, share_of
from pilotfish.prompt.compress.result import Compressed
from pilotfish.prompt.compress.units import Span

__all__ = ["PARTS", "Compressing", "Part", "asked_in"]

Part = Literal["system", "history", "tools", "context", "question"]
PARTS: tuple[Part, ...] = ("history", "tools", "context")


@dataclass(frozen=True)
class Compressing:
    """A model that is given prompts within a budget.

    Of the last user turn the question is what `asked_in` says, and all else is context. The trace of a reply tells what
    the compressor read and how long, and a decision the tokens before and after. Roles, tool calls and what is no text
    stay as they are.

    Attributes:
        model: answers.
        compressor: makes texts shorter; it counts as `model` does, or says what it counts.
        budget: of all texts of a request together, without the template's own tokens.
        rate: instead: the share that is left of the parts that are compressed.
        parts: which parts these are: "system", "history" (earlier turns), "tools" (their results), "context" and
            "question" (of the last user turn).
        above: a request with no more than so many tokens stays as it is.
        name: in traces.

    Raises:
        ConfigError: neither or both of budget and rate, no such part, or none.
    """

    model: Model
    compressor: Compressor
    budget: int | None = None
    rate: float | None = None
    parts: tuple[Part, ...] = PARTS
    above: int = 0
    name: str = "compressed"

    def __post_init__(self) -> None:
        if (self.budget is None) == (self.rate is None):
            raise ConfigError(f"{self.name}: give a budget or a rate")
        if (self.budget is not None and self.budget < 1) or (self.rate is not None and not 0 < self.rate <= 1):
            raise ConfigError(f"{self.name}: a budget is 1 or more, a rate above 0 and at most 1")
        if not self.parts or not set(self.parts) <= set(get_args(Part)):
            raise ConfigError(f"{self.name}: parts are one or more of {', '.join(get_args(Part))}")

    async def reply(self, request: Request) -> Reply:
        """Make the prompt shorter and have it answered."""
        shorter, trace = await asyncio.to_thread(self.shortened, request)
        said = await self.model.reply(shorter)
        return said.with_(trace=trace + said.trace)

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Make the prompt shorter before the first byte; then the model streams."""
        shorter, trace = await asyncio.to_thread(self.shortened, request)
        async for delta in self.model.stream(shorter):
            whole = delta.reply
            yield delta if whole is None else replace(delta, reply=whole.with_(trace=trace + whole.trace))

    def shortened(self, request: Request) -> tuple[Request, Trace]:
        """Return the request with its texts compressed, and what that took.

        Raises:
            ModelError: what is not compressed alone is more than the budget.
        """
        start = time.perf_counter()
        count = self.compressor.count
        texts = [self._told(one) for one in _texts(request)]
        before = sum(one.size for one in texts)
        free = [one for one in texts if one.size > one.fixed]
        total = sum(one.size - one.fixed for one in free)
        most = before - total + share_of(total, self.rate) if self.budget is None else self.budget
        if before <= max(self.above, most) or not free:
            word = f"left as it is: {before} {count.unit}" + ("" if free else ", nothing to compress")
            return request, Trace(decisions=(Decision(self.name, word, before, self.budget),))
        room = most - (before - total)
        if room < len(free):
            raise ModelError(
                f"{self.name}: what is not compressed alone is {before - total} {count.unit}, of a budget of {most}; "
                "raise it, or compress more parts"
            )
        found = self._fitted(free, room, asked_in(request.prompt)[1])
        after = before + sum(one.after - text.size for text, one in zip(free, found, strict=True))
        new = {(text.message, text.piece): one.text for text, one in zip(free, found, strict=True)}
        why = f"{before} to {after} {count.unit}"
        seconds = time.perf_counter() - start
        call = Call(self.compressor.way.name, "compressor", sum(one.read for one in found), 0, seconds, 0.0, why=why)
        lost = sum(len(one.lost) for one in found)
        word = f"compressed: {why}, {before - after} saved" + (f", {lost} protected lost" if lost else "")
        return _changed(request, new), Trace((call,), (Decision(self.name, word, after, self.budget),))

    def _told(self, text: _Text) -> _Text:
        """Return a text with its length, and how much of it is not compressed."""
        size = self.compressor.count(text.text)
        if "question" in self.parts:
            text = replace(text, keep=())
        if text.part not in self.parts:
            return replace(text, size=size, fixed=size)
        fixed = self.compressor.count("\n\n".join(text.text[start:end] for start, end in text.keep))
        return replace(text, size=size, fixed=min(size, fixed))

    def _fitted(self, free: Sequence[_Text], room: int, question: str) -> list[Compressed]:
        """Return each text in its share of the room; what one leaves over the next ones have."""
        found: list[Compressed] = []
        total = sum(one.size - one.fixed for one in free)
        for number, one in enumerate(free):
            waiting = len(free) - number - 1  # each of these is left one at least
            own = min(max(1, room * (one.size - one.fixed) // total), room - waiting)
            told = self.compressor.text(one.text, budget=one.fixed + own, question=question, keep=one.keep)
            found.append(told)
            room -= told.after - one.fixed
            total -= one.size - one.fixed
        return found


@dataclass(frozen=True)
class _Text:
    """A text of a request.

    Attributes:
        message: the number of its message.
        piece: the number of its content part; None where the content is one text.
        part: what it is.
        text: itself.
        keep: what of it is kept word by word.
        size: its length.
        fixed: of what is not compressed.
    """

    message: int
    piece: int | None
    part: Part
    text: str
    keep: tuple[Span, ...] = ()
    size: int = 0
    fixed: int = 0


def asked_in(turn: str) -> tuple[list[tuple[int, int]], str]:
    """Return where a turn's question and instruction stand, and the question.

    Of three paragraphs or more these are the first and the last; of two the shorter one; a single paragraph is all
    question. In a turn without blank lines its lines are the paragraphs. The question is the last of them that ends in
    a question mark, or else the last.
    """
    spans = paragraphs_of(turn)
    if len(spans) < 2:
        return [(0, len(turn))], turn
    kept = [spans[0], spans[-1]] if len(spans) > 2 else [min(spans, key=lambda span: span[1] - span[0])]
    asking = [span for span in kept if turn[slice(*span)].rstrip().endswith(("?", "？", "؟"))]
    return kept, turn[slice(*(asking or kept)[-1])]


def _texts(request: Request) -> list[_Text]:
    """Return all texts of a request."""
    users = [at for at, message in enumerate(request.messages) if message.role == "user"]
    last = users[-1] if users else -1
    found: list[_Text] = []
    for at, message in enumerate(request.messages):
        for piece, text in _pieces(message):
            if at == last:
                kept = asked_in(text)[0]
                # Of a turn that is all question nothing is context.
                part: Part = "question" if kept == [(0, len(text))] else "context"
                found.append(_Text(at, piece, part, text, tuple(kept)))
            else:
                found.append(_Text(at, piece, _part(message.role), text))
    return found


def _part(role: str) -> Part:
    if role in ("system", "developer"):
        return "system"
    return "tools" if role in ("tool", "function") else "history"


def _pieces(message: Message) -> list[tuple[int | None, str]]:
    if isinstance(message.content, str):
        return [(None, message.content)]
    told = enumerate(message.content)
    return [(number, str(part.get("text", ""))) for number, part in told if part.get("type") == "text"]


def _changed(request: Request, new: Mapping[tuple[int, int | None], str]) -> Request:
    """Return the request with some of its texts changed."""
    messages = []
    for at, message in enumerate(request.messages):
        if isinstance(message.content, str):
            messages.append(replace(message, content=new.get((at, None), message.content)))
            continue
        parts = tuple(
            {**part, "text": new[at, number]} if (at, number) in new else part
            for number, part in enumerate(message.content)
        )
        messages.append(replace(message, content=parts))
    return request.with_(messages=tuple(messages))
