"""A model whose answers small plug-ins look at and mend, sentence by sentence, before anyone reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from pilotfish.errors import ConfigError
from pilotfish.measure.evidence import listening
from pilotfish.model import Delta, Model, Reply, Request, Trace
from pilotfish.repair._asked import check_evidence, context_of
from pilotfish.repair._context import Where
from pilotfish.repair.mending import Mending, Work, mended
from pilotfish.repair.spans import Plugin
from pilotfish.repair.units import Units

__all__ = ["Repaired"]


@dataclass(frozen=True)
class Repaired:
    """Any model, and plug-ins behind it.

    A stream is one sentence late: each sentence is given once all plug-ins have looked at it, and is never taken back.
    A fence of code passes line by line, or is held until it closes where a plug-in may touch code. Where a plug-in
    needs the whole answer (a form of JSON, one that may take the answer back) the stream is one piece at its end. The
    text is the same either way, and however the model's own pieces fall.

    Tool calls pass as they are. Log-probabilities are dropped where the text was changed. The trace has the model's own
    calls, each plug-in's time as a call with the role "detector", and a decision for each edit that was made, or was
    not because numbers and code are protected.

    Attributes:
        model: answers.
        plugins: in the order in which they mend.
        evidence: where the passages stand that an answer is checked against; see `context_of`.
        language: of sentences.
        most: characters of a sentence that is held at most.
        name: in traces.

    Raises:
        ConfigError: no plug-ins, two of one name, or a setting that is none.
    """

    model: Model
    plugins: tuple[Plugin, ...]
    evidence: Where = "told"
    language: str = "en"
    most: int = 2000
    name: str = "repaired"

    def __post_init__(self) -> None:
        check_evidence(self.evidence, self.name)
        if not self.plugins:
            raise ConfigError(f"{self.name}: there is no plug-in")
        names = [plugin.name for plugin in self.plugins]
        if len(set(names)) < len(names):
            raise ConfigError(f"{self.name}: two plug-ins have one name: {', '.join(names)}")
        if self.most < 100:
            raise ConfigError(f"{self.name}: most is 100 characters or more, not {self.most}")

    async def reply(self, request: Request) -> Reply:
        """Answer, and mend the answer; of several (n > 1) each."""
        inner, heard = listening(request)
        base = await self.model.reply(inner)
        first = await self._whole(request, base, heard)
        if not base.choices:
            return first
        others = [await self._whole(request, one, heard) for one in base.choices]
        trace = sum((one.trace for one in others), first.trace)
        return first.with_(choices=tuple(one.with_(trace=Trace()) for one in others), trace=trace)

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Answer sentence by sentence, each mended."""
        if request.n > 1 or any(plugin.whole for plugin in self.plugins):
            reply = await self.reply(request)
            yield Delta(text=reply.text, tool_calls=reply.tool_calls, reply=reply)
            return
        inner, heard = listening(request)
        works = [Work(plugin) for plugin in self.plugins]
        way = Mending(works, context_of(request, (), self.evidence))
        units = self._units()
        base: Reply | None = None
        given, known = "", 0
        async with aclosing(self.model.stream(inner)) as deltas:  # type: ignore[type-var]
            async for delta in deltas:
                base = delta.reply or base
                if delta.tool_calls:
                    yield Delta(tool_calls=delta.tool_calls)
                if len(heard) > known:
                    known = len(heard)
                    # What retrieves has told its passages before the first letter of an answer.
                    way.know(context_of(request, heard, self.evidence).passages)
                for unit in units.feed(delta.text):
                    if text := await way.put(unit):
                        given += text
                        yield Delta(text=text)
        rest = "".join([await way.put(unit) for unit in units.end()])
        assert base is not None, "a stream ends with the reply"
        yield Delta(text=rest, reply=self._told(base, given + rest, works))

    async def _whole(self, request: Request, base: Reply, heard: Sequence[str]) -> Reply:
        works = [Work(plugin) for plugin in self.plugins]
        context = context_of(request, heard, self.evidence)
        done = await mended(base.text, works, context, self._units)
        return self._told(base, done.text, works)

    def _units(self) -> Units:
        fences = any("code" in plugin.touch for plugin in self.plugins)
        return Units(fences=fences, most=self.most, language=self.language)

    def _told(self, base: Reply, text: str, works: Sequence[Work]) -> Reply:
        """Return the reply with the text as it was mended, and what was done for it in its trace."""
        changed = text != base.text
        trace = sum((work.told() for work in works), base.trace)
        reply = base.with_(text=text, trace=trace, logprobs=None if changed else base.logprobs)
        edits = sum(len(work.edits) for work in works)
        taken = any(work.withdrawn for work in works)
        return reply.decided(self.name, "withdrawn" if taken else f"{edits} edits" if edits else "unchanged")
