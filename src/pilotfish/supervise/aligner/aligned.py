"""A model whose replies a small corrector rewrites, or several answers that it makes one of.

Sources: Ji et al. 2024 (Aligner), figure 2 and equation 1: the corrector sees the question and the answer, whoever gave
it, and is asked once; Vernikos et al. 2024 (Small Language Models Improve Giants by Rewriting Their Outputs, LMCor),
section 3: it sees several candidates, and may take one, join some, or write what none of them says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from pilotfish.errors import ConfigError
from pilotfish.model import Model, Reply, Request, Trace, WholeReplies
from pilotfish.supervise.aligner.rows import SEVERAL, TEMPLATE, asked, numbered

__all__ = ["Aligned"]


@dataclass(frozen=True)
class Aligned(WholeReplies):
    """Any model, and a small corrector behind it.

    The question is the last user turn. A reply with tool calls is left as it is; so is one whose correction is empty or
    cut, for half an answer is worse than none changed. The trace says which it was.

    Of several candidates, draws and those of other models, the first is what is left where nothing comes of correcting;
    the corrector sees them numbered, each text once.

    Attributes:
        model: who answers.
        corrector: who rewrites.
        template: of what the corrector is asked; the one that it was taught with. None is the one for as many answers.
        max_tokens: of a correction; None for what the corrector gives by itself.
        name: in traces.
        draws: answers of the model; the first is as the request wants it.
        others: models that are asked too, once each.
        temperature: of further draws.

    Raises:
        ConfigError: a template that lacks the answer, or no draw.
    """

    model: Model
    corrector: Model
    template: str | None = None
    max_tokens: int | None = 512
    name: str = "aligned"
    draws: int = 1
    others: tuple[Model, ...] = ()
    temperature: float = 0.7

    def __post_init__(self) -> None:
        asked("", "", self._template)
        if self.draws < 1 or (self.draws > 1 and not self.temperature > 0):
            raise ConfigError(f"{self.name}: one draw or more, and a temperature above 0 for more than one")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ConfigError(f"{self.name}: max_tokens must be 1 or more, not {self.max_tokens}")

    async def reply(self, request: Request) -> Reply:
        """Answer, and correct the answer."""
        if request.n > 1:
            raise ConfigError(f"{self.name}: one answer is corrected, and n = {request.n} asks for several")
        answers = await asyncio.gather(*self._asking(request))
        first, *more = answers
        spent = sum((one.trace for one in answers), Trace())
        if first.tool_calls or not first.text.strip():
            return first.with_(trace=spent).decided(self.name, "left")
        texts = [one.text for one in (first, *more) if one.text.strip() and not one.tool_calls]
        given = first.text if not more else numbered(texts)
        question = Request.of(
            asked(request.prompt, given, self._template),
            temperature=0.0,
            max_tokens=self.max_tokens,
            metadata=dict(request.metadata),
        )
        second = await self.corrector.reply(question)
        spent += second.trace
        text = second.text.strip()
        if not text or second.finish_reason == "length":
            # The corrector was paid for, whatever came of it.
            kept = first.with_(trace=spent)
            return kept.decided(self.name, "kept: the correction is cut" if text else "kept: the correction is empty")
        # Its log-probabilities are those of another text than the answer's.
        return second.with_(text=text, trace=spent).decided(self.name, _verdict(text, texts))

    @property
    def _template(self) -> str:
        if self.template is not None:
            return self.template
        return TEMPLATE if self.draws == 1 and not self.others else SEVERAL

    def _asking(self, request: Request) -> list[Awaitable[Reply]]:
        asks = [self.model.reply(request)]
        for number in range(1, self.draws):
            seed = None if request.seed is None else request.seed + number
            known = {**request.metadata, "sample": request.sampled(number, self.draws)}
            asks.append(self.model.reply(request.with_(temperature=self.temperature, seed=seed, metadata=known)))
        return [*asks, *(other.reply(request) for other in self.others)]


def _verdict(text: str, candidates: list[str]) -> str:
    known = [one.strip() for one in candidates]
    if text == known[0]:
        return "unchanged"
    if text in known:
        return f"the answer {known.index(text) + 1} of {len(known)}"
    return "corrected" if len(known) == 1 else f"corrected, from {len(known)} answers"
