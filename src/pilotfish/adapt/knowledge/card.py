"""A knowledge card: a small model of a domain that writes what it knows about a question.

Sources: Feng et al. 2024 (Knowledge Card), section 2.1: cards are small models trained on texts of a domain, whose
samples are knowledge documents; Luo et al. 2023 (Parametric Knowledge Guiding), section 3.2: or on questions with the
background that answers them; Li et al. 2024 (BLADE). `pilotfish tune` teaches both kinds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pilotfish.errors import ConfigError
from pilotfish.measure.judging import filled_in
from pilotfish.model import Model, Request, Trace

__all__ = ["PROMPT", "Card", "Note"]

PROMPT = "Write what is known that helps to answer this question: {question}"


@dataclass(frozen=True)
class Note:
    """What a card wrote.

    Attributes:
        text: what it says.
        card: whose it is.
        relevance: how near it is to the question, where that was looked at.
        factuality: how far other texts bear it out, from 0 to 1, where that was looked at.
    """

    text: str
    card: str
    relevance: float | None = None
    factuality: float | None = None


@dataclass(frozen=True)
class Card:
    """A small model of a domain.

    Attributes:
        model: writes the notes.
        domain: what it knows about, in words; cards are chosen by it.
        prompt: with {question}: what it was taught to answer with a note.
        notes: how many are written for a question.
        max_tokens: of a note.
        temperature: of several notes; one is written greedily.

    Raises:
        ConfigError: a prompt without its place, or a number out of range.
    """

    model: Model
    domain: str = ""
    prompt: str = PROMPT
    notes: int = 1
    max_tokens: int = 128
    temperature: float = 0.7

    def __post_init__(self) -> None:
        if "{question}" not in self.prompt:
            raise ConfigError(f"{self.model.name}: the prompt of a card needs the place {{question}}")
        if self.notes < 1 or self.max_tokens < 1 or self.temperature < 0:
            raise ConfigError(f"{self.model.name}: a card writes one note or more, of one token or more")

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    async def write(self, request: Request) -> tuple[list[Note], Trace]:
        """Return what it writes about a request's question, each note once, and the calls; empty ones are none."""
        text = filled_in(self.prompt, question=request.prompt)
        heat = self.temperature if self.notes > 1 else 0.0
        asked = [
            Request.of(
                text,
                temperature=heat,
                max_tokens=self.max_tokens,
                metadata={"sample": request.sampled(number, self.notes)},
            )
            for number in range(self.notes)
        ]
        said = await asyncio.gather(*(self.model.reply(one) for one in asked))
        trace = sum((reply.trace for reply in said), Trace())
        texts = dict.fromkeys(reply.text.strip() for reply in said)
        return [Note(one, self.name) for one in texts if one], trace
