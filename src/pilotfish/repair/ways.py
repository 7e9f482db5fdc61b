"""What is done about a fault: it is removed, marked, replaced, said anew, or the whole answer is taken back.

A way is given the plug-in too, so that what a model said anew can be looked at again.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pilotfish.errors import ConfigError
from pilotfish.measure.judging import filled_in
from pilotfish.model import Decision, Model, Request, Trace
from pilotfish.repair.spans import Context, Edit, Mended, Plugin, Span, applied
from pilotfish.repair.units import units_of

__all__ = ["ABSTAINED", "REWRITE", "Abstain", "Mark", "Mends", "Remove", "Replace", "Rewrite", "Way"]

ABSTAINED = "I cannot give an answer that holds."
REWRITE = """Below is a question, what is known, and one sentence of an answer. These words of the sentence are wrong \
or not borne out: {faults}

Question: {question}

What is known:
{passages}

The sentence: {sentence}

Write the sentence again without the fault, from what is known only. Write nothing but the sentence."""


class Way(Protocol):
    """Mends a text at the places that were found."""

    async def __call__(self, plugin: Plugin, text: str, spans: Sequence[Span], context: Context) -> Mended:
        """Return the text mended."""


class Mends:
    """Mixin of plug-ins that are mended by their `way`; an answer that may be taken back is needed whole."""

    name: str
    way: Way
    touch: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        """Whether the whole answer is needed."""
        return isinstance(self.way, Abstain)

    async def mend(self, text: str, spans: Sequence[Span], context: Context) -> Mended:
        """Return the text as the way makes it."""
        plugin: Plugin = self  # type: ignore[assignment]
        return await self.way(plugin, text, spans, context)


@dataclass(frozen=True)
class Remove:
    """The sentences go in which there is a fault.

    Attributes:
        what: "sentence", or "span" where only the place itself is to go.
    """

    what: str = "sentence"

    def __post_init__(self) -> None:
        if self.what not in ("sentence", "span"):
            raise ConfigError(f"what is removed is the sentence or the span, not {self.what!r}")

    async def __call__(self, plugin: Plugin, text: str, spans: Sequence[Span], context: Context) -> Mended:
        """Return the text without them."""
        if self.what == "span":
            edits = [_edit(text, a, b, "", some) for a, b, some in merged(spans)]
        else:
            edits = [_edit(text, a, b, "", some) for a, b, some in sentences_with(text, spans)]
        return Mended(applied(text, edits), tuple(edits))


@dataclass(frozen=True)
class Mark:
    """The place stays and is marked.

    Attributes:
        after: what is put behind it.
        before: what is put before it.
    """

    after: str = " [unverified]"
    before: str = ""

    def __post_init__(self) -> None:
        if not self.after and not self.before:
            raise ConfigError("a mark needs a text, before the place or after it")

    async def __call__(self, plugin: Plugin, text: str, spans: Sequence[Span], context: Context) -> Mended:
        """Return the text with the marks."""
        edits = [_edit(text, a, b, f"{self.before}{text[a:b]}{self.after}", some) for a, b, some in merged(spans)]
        return Mended(applied(text, edits), tuple(edits))


@dataclass(frozen=True)
class Replace:
    """The place is replaced by what the plug-in knows better.

    A place of which it knows nothing better gets `text`; where there is none it stays.

    Attributes:
        text: instead; {kind} is filled in, in capitals.
    """

    text: str | None = None

    async def __call__(self, plugin: Plugin, text: str, spans: Sequence[Span], context: Context) -> Mended:
        """Return the text with the better ones."""
        edits = []
        for a, b, some in merged(spans):
            better = some[0].better if len(some) == 1 else None
            if better is None and self.text is not None:
                better = filled_in(self.text, kind=some[0].kind.upper())
            if better is not None and better != text[a:b]:
                edits.append(_edit(text, a, b, better, some))
        return Mended(applied(text, edits), tuple(edits))


@dataclass(frozen=True)
class Rewrite:
    """A model writes the sentence again; what it says is looked at again, and kept only where the fault is gone.

    Attributes:
        model: any model; its call is in the trace.
        prompt: with {sentence}; {question}, {passages} and {faults} are filled in too.
        max_tokens: of the sentence.
    """

    model: Model
    prompt: str = REWRITE
    max_tokens: int = 128

    def __post_init__(self) -> None:
        if "{sentence}" not in self.prompt:
            raise ConfigError("the prompt that has a sentence written again needs the place {sentence}")
        if self.max_tokens < 1:
            raise ConfigError(f"max_tokens must be 1 or more, not {self.max_tokens}")

    async def __call__(self, plugin: Plugin, text: str, spans: Sequence[Span], context: Context) -> Mended:
        """Return the text with the sentences as the model writes them."""
        edits: list[Edit] = []
        trace = Trace()
        for a, b, some in sentences_with(text, spans):
            said = await self.model.reply(self._asked(text, a, b, some, context))
            trace += said.trace
            new = " ".join(said.text.split())
            why = ""
            if not new or said.finish_reason == "length":
                why = "the new sentence is cut" if new else "the new sentence is empty"
            else:
                left = plugin.detect(new, context)
                if await left if inspect.isawaitable(left) else left:
                    why = "the new sentence has a fault too"
            if why:
                trace += Trace(decisions=(Decision(plugin.name, f"kept: {why}", some[0].score),))
            elif new != text[a:b]:
                edits.append(_edit(text, a, b, new, some))
        return Mended(applied(text, edits), tuple(edits), trace)

    def _asked(self, text: str, start: int, end: int, spans: Sequence[Span], context: Context) -> Request:
        faults = "; ".join(repr(text[span.start : span.end]) for span in spans)
        filled = filled_in(
            self.prompt,
            sentence=text[start:end],
            question=context.question,
            passages="\n\n".join(context.passages) or "(nothing)",
            faults=faults,
        )
        metadata = {} if context.request is None else dict(context.request.metadata)
        return Request.of(filled, temperature=0.0, max_tokens=self.max_tokens, metadata=metadata)


@dataclass(frozen=True)
class Abstain:
    """The whole answer is taken back.

    Attributes:
        text: what is said instead.
        above: how sure the surest fault has to be.
    """

    text: str = ABSTAINED
    above: float = 0.0

    async def __call__(self, plugin: Plugin, text: str, spans: Sequence[Span], context: Context) -> Mended:
        """Return the other text."""
        if max((span.score for span in spans), default=-1.0) < self.above:
            return Mended(text)
        return Mended(self.text, withdrawn=True)


def merged(spans: Sequence[Span]) -> list[tuple[int, int, list[Span]]]:
    """Return the places of spans in order, those that overlap as one, with the spans in each."""
    found: list[tuple[int, int, list[Span]]] = []
    for span in sorted(spans, key=lambda one: (one.start, one.end)):
        if found and span.start < found[-1][1]:
            start, end, some = found[-1]
            found[-1] = (start, max(end, span.end), [*some, span])
        else:
            found.append((span.start, span.end, [span]))
    return found


def sentences_with(text: str, spans: Sequence[Span]) -> list[tuple[int, int, list[Span]]]:
    """Return the sentences, or fences, that spans reach into, and the spans of each; neighbours of one span are one."""
    places, at = [], 0
    for unit in units_of(text):
        start = at + len(unit.lead)
        at = start + len(unit.text)
        if unit.text:
            places.append((start, at))
    reached = []
    for span in spans:
        inside = [(a, b) for a, b in places if a < max(span.end, span.start + 1) and span.start < b]
        if inside:
            reached.append((inside[0][0], inside[-1][1], span))
    found: list[tuple[int, int, list[Span]]] = []
    for start, end, span in sorted(reached, key=lambda one: (one[0], one[1])):
        if found and start < found[-1][1]:
            first, last, some = found[-1]
            found[-1] = (first, max(last, end), [*some, span])
        else:
            found.append((start, end, [span]))
    return found


def _edit(text: str, start: int, end: int, after: str, spans: Sequence[Span]) -> Edit:
    best = max(spans, key=lambda span: span.score)
    return Edit(start, end, text[start:end], after, best.kind, best.why, best.score)
