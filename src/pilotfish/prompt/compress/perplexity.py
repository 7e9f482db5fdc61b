"""Units by how little a small language model expects them: what it could have guessed is left out.

Source: Jiang et al. 2023 (LLMLingua: Compressing Prompts for Accelerated Inference of Large Language Models), sections
3.1 (demonstrations) and 3.3 (tokens).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.prompt.compress._reading import Tokens, Walk, lead_of, losses, segments
from pilotfish.prompt.compress.shares import keeps
from pilotfish.prompt.compress.units import per_unit
from pilotfish.prompt.compress.way import Asked, Ranked, Scored

if TYPE_CHECKING:
    from pilotfish.models.reader import Reader

__all__ = ["ByPerplexity", "TellingDocuments"]


@dataclass(frozen=True)
class ByPerplexity:
    """Scores units by −log p of their tokens.

    Attributes:
        reader: the small model.
        segment: tokens; each segment is read behind what is kept of those before it, and its units are compared with
            one another only. None reads the text in one pass, which is up to twice as fast, and compares all.
        again: whether what is kept is read again without what was dropped, as the paper does; False holds what it was
            when it was read, which takes two thirds of the time.
        context: tokens that a segment, or a window of the one pass, is read with at most. A token's loss hardly
            changes by what stands 2,000 tokens before it, while attention to all of a long text costs more than all
            else.
    """

    reader: Reader
    segment: int | None = 200
    context: int = 2048
    again: bool = True
    name: str = "perplexity"

    def __post_init__(self) -> None:
        check_windows(self.segment, self.context)

    def __call__(self, asked: Asked) -> Scored:
        """Return each unit's mean loss a token, in nats."""
        tokenizer = self.reader.tokenizer
        tokens = Tokens.of(tokenizer, asked.text, asked.units)
        lead = lead_of(tokenizer)
        if self.segment is None:
            values, read = losses(self.reader, tokens.ids, lead, self.context)
            return Scored(per_unit(asked.units, tokens.places, values), None, read)
        walk = Walk(self.reader, lead, self.context, self.again)
        values, groups = np.zeros(len(tokens.ids)), np.zeros(len(asked.units), np.int64)
        for number, (start, end) in enumerate(segments(tokens.units, self.segment)):
            values[start:end] = walk.step(tokens.ids[start:end])
            kept, units = kept_tokens(asked, tokens, values, start, end)
            walk.keep(kept)
            groups[units] = number
        return Scored(per_unit(asked.units, tokens.places, values), groups, walk.read)


def kept_tokens(
    asked: Asked, tokens: Tokens, values: NDArray[np.float64], start: int, end: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return which tokens of a segment belong to units that would be kept, and the numbers of its units."""
    units, owner = np.unique(tokens.units[start:end], return_inverse=True)
    counts = np.bincount(owner)
    means = np.bincount(owner, weights=values[start:end]) / counts
    return keeps(means, counts.astype(np.float64), asked.shares[units])[owner], units


def check_windows(segment: int | None, context: int) -> None:
    """Raise a ConfigError where a segment does not fit its context."""
    if segment is not None and (segment < 8 or 2 * segment > context):
        raise ConfigError(f"a segment has 8 tokens or more, and half of the context at most, not {segment}")
    if context < 16:
        raise ConfigError(f"the context has 16 tokens or more, not {context}")


@dataclass(frozen=True)
class TellingDocuments:
    """Ranks demonstrations or documents by their perplexity: those that the small model expects least come first.

    Section 3.1, algorithm 1: what it expects tells the large model nothing new, either. The question plays no part.

    Attributes:
        reader: the small model.
        tokens: of a document that are read at most.
    """

    reader: Reader
    tokens: int = 1024

    def __call__(self, question: str, texts: Sequence[str]) -> Ranked:
        """Return each text's mean loss a token, in nats."""
        tokenizer = self.reader.tokenizer
        lead = lead_of(tokenizer)
        most = min(self.tokens, self.reader.max_length - len(lead))
        rows = [
            ([*lead, *tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"][:most]], len(lead))
            for text in texts
        ]
        found = [-float(one.mean()) if len(one) else 0.0 for one in self.reader.logprobs(rows)]
        return Ranked(np.array(found), sum(len(row) for row, _ in rows))
