"""A text through plug-ins, one after another, each kept from what it may not touch."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pilotfish.errors import ModelError
from pilotfish.model import Call, Decision, Trace
from pilotfish.repair.protected import allowed
from pilotfish.repair.spans import Context, Edit, Mended, Plugin, Span
from pilotfish.repair.units import Unit, Units

__all__ = ["Mending", "Work", "mended"]


@dataclass
class Work:
    """What one plug-in did for an answer.

    Attributes:
        plugin: which.
        seconds: looking for faults; calls of models that mend tell theirs themselves.
        pieces: texts that it looked at.
        spans: places that it found fault with.
        edits: that were made.
        refused: edits that would have changed what is protected.
        trace: calls and decisions of mending.
        withdrawn: whether it took the answer back.
    """

    plugin: Plugin
    seconds: float = 0.0
    pieces: int = 0
    spans: list[Span] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    refused: list[Edit] = field(default_factory=list)
    trace: Trace = field(default_factory=Trace)
    withdrawn: bool = False

    async def through(self, text: str, context: Context) -> Mended:
        """Return a text as the plug-in leaves it.

        Raises:
            ModelError: the plug-in gives spans outside the text or edits that are not what it did, or it takes back an
                answer that it did not see whole.
        """
        began = time.perf_counter()
        spans = list(await _called(self.plugin.detect, text, context))
        self.seconds += time.perf_counter() - began
        self.pieces += 1
        for span in spans:
            if not 0 <= span.start < span.end <= len(text):
                raise ModelError(f"{self.plugin.name}: characters {span.start} to {span.end} of {len(text)} are none")
        if not spans:
            return Mended(text)
        self.spans += spans
        done: Mended = await _called(self.plugin.mend, text, spans, context)
        self.trace += done.trace
        if done.withdrawn:
            if not self.plugin.whole:
                raise ModelError(
                    f"{self.plugin.name} takes an answer back without needing it whole: its start was given"
                )
            self.withdrawn = True
            return Mended(done.text, withdrawn=True)
        try:
            found, kept, refused = allowed(text, done.edits, self.plugin.touch)
        except ModelError as error:
            raise ModelError(f"{self.plugin.name}: {error}") from None
        if not refused and found != done.text:
            raise ModelError(f"{self.plugin.name}: its edits do not give the text that it gives")
        self.edits += kept
        self.refused += refused
        return Mended(found, tuple(kept))

    def told(self) -> Trace:
        """Return its time, and one decision an edit."""
        name = self.plugin.name
        why = f"{len(self.spans)} spans in {self.pieces} pieces"
        trace = Trace((Call(name, "detector", seconds=self.seconds, why=why),)) + self.trace
        decisions = [Decision(name, f"mended: {edit.why or edit.kind}", edit.score) for edit in self.edits]
        decisions += [
            Decision(name, f"kept, for numbers and code are not touched: {edit.why or edit.kind}", edit.score)
            for edit in self.refused
        ]
        if self.withdrawn:
            decisions.append(Decision(name, "answer withdrawn", max(span.score for span in self.spans)))
        return trace + Trace(decisions=tuple(decisions))


class Mending:
    """An answer on its way through plug-ins that look at one sentence at a time.

    What was given is never changed any more. The white space before a sentence is given with it, so that one that goes
    leaves none behind; of two that meet, the one with more line ends stays.

    Args:
        works: of the plug-ins, in order; they note what they do.
        context: of the answer.
    """

    def __init__(self, works: Sequence[Work], context: Context) -> None:
        self.works, self.context = works, context
        self._gone: str | None = None  # the white space before what is gone, where nothing was given since

    def know(self, passages: Sequence[str]) -> None:
        """Take the passages of the answer, which may be known only once it comes."""
        self.context = replace(self.context, passages=tuple(passages))

    async def put(self, unit: Unit) -> str:
        """Return what is given for a unit: its white space and its text, mended; nothing where it goes."""
        lead, text = unit.lead, unit.text
        for work in self.works:
            if text and not (unit.code and "code" not in work.plugin.touch):
                done = await work.through(text, self.context)
                if done.edits:
                    self.context = replace(self.context, edits=(*self.context.edits, *done.edits))
                text = done.text
        if self._gone is not None:
            # What stood before what is gone is nothing where the answer begins here.
            lead = max(lead, self._gone, key=_breaks) if self.context.before else ""
        if unit.text and not text:
            self._gone = lead
            return ""
        self._gone = None
        given = lead + text
        self.context = replace(self.context, before=self.context.before + given)
        return given


async def mended(text: str, works: Sequence[Work], context: Context, units: Callable[[], Units] = Units) -> Mended:
    """Return an answer that came whole: as a stream of it would have been, and through plug-ins that need it whole.

    Args:
        text: the answer.
        works: of the plug-ins, in order; they note what they do.
        context: of the answer.
        units: makes what cuts it.
    """
    edits: list[Edit] = []
    at = 0
    while at < len(works):
        if works[at].plugin.whole:
            done = await works[at].through(text, replace(context, edits=tuple(edits))) if text else Mended(text)
            if done.withdrawn:
                return done
            text, edits = done.text, [*edits, *done.edits]
            at += 1
            continue
        end = at
        while end < len(works) and not works[end].plugin.whole:
            end += 1
        way = Mending(works[at:end], replace(context, edits=tuple(edits)))
        cut = units()
        text = "".join([await way.put(unit) for unit in [*cut.feed(text), *cut.end()]])
        edits = list(way.context.edits)
        at = end
    return Mended(text, tuple(edits))


def _breaks(space: str) -> int:
    return space.count("\n")


async def _called(function: Any, *given: Any) -> Any:
    """Call what may be async; what is not works in a thread, for it may compute for a while."""
    if inspect.iscoroutinefunction(function):
        return await function(*given)
    said = await asyncio.to_thread(function, *given)
    return await said if inspect.isawaitable(said) else said
