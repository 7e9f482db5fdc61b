"""Which cards are asked: those whose domain is nearest to the question, or those that the large model itself names.

Source: Feng et al. 2024 (Knowledge Card), section 2.3: bottom-up (all cards write, selectors choose) and top-down (the
large model says whether it needs knowledge, and of which domain).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pilotfish.adapt.knowledge.card import Card
from pilotfish.adapt.knowledge.select import Encodes
from pilotfish.errors import ConfigError
from pilotfish.measure.judging import filled_in
from pilotfish.model import Model, Request, Trace

__all__ = ["AskedCards", "NearestCards", "Routes"]

ASK = """Question: {question}

You may ask an expert before you answer. The experts:
{cards}

Reply with the number of the expert whose knowledge you need, or with 0 if you need none. Reply with a number only."""


class Routes(Protocol):
    """Chooses cards for a question."""

    async def __call__(self, question: str, cards: Sequence[Card]) -> tuple[list[Card], Trace]:
        """Return the cards to ask, perhaps none, and the calls that it took."""


@dataclass(frozen=True)
class NearestCards:
    """The cards whose domains, as they are put in words, are nearest to the question by an encoder.

    Attributes:
        encoder: of questions and domains.
        most: how many cards.
        least: cosine that is needed; below it no card is asked.
    """

    encoder: Encodes
    most: int = 1
    least: float = -1.0

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ConfigError("one card at least is asked")

    async def __call__(self, question: str, cards: Sequence[Card]) -> tuple[list[Card], Trace]:
        """Return the nearest cards."""
        texts = [question, *(card.domain or card.name for card in cards)]
        vectors = np.asarray(await asyncio.to_thread(self.encoder.encode, texts), np.float64)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        near = vectors[1:] @ vectors[0]
        ranked = sorted(range(len(cards)), key=lambda i: (-near[i], i))
        return [cards[i] for i in ranked[: self.most] if near[i] >= self.least], Trace()


@dataclass(frozen=True)
class AskedCards:
    """The card that a model, mostly the one that will answer, says it needs; none where it says so.

    Attributes:
        model: who is asked.
    """

    model: Model

    async def __call__(self, question: str, cards: Sequence[Card]) -> tuple[list[Card], Trace]:
        """Ask for the number of a card; what is no such number asks none."""
        shown = "\n".join(f"{number}: {card.domain or card.name}" for number, card in enumerate(cards, 1))
        text = filled_in(ASK, cards=shown, question=question)
        said = await self.model.reply(Request.of(text, temperature=0.0, max_tokens=4))
        word = said.text.strip().strip(".:[]()").split()[:1]
        number = int(word[0]) if word and word[0].isdigit() else 0
        return ([cards[number - 1]] if 1 <= number <= len(cards) else []), said.trace
