"""A phrase in its sentence: the states of its own tokens, which have read the words around it.

Source: states of a span's tokens, averaged: Yu and Ettinger 2020 (Assessing Phrasal Representation and Composition in
Transformers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models._tokens import buckets

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder

__all__ = ["Span", "in_context"]


@dataclass(frozen=True)
class Span:
    """A phrase where it stands.

    Attributes:
        text: the sentence, or any text.
        start, end: of the phrase, in characters.
    """

    text: str
    start: int
    end: int

    @property
    def phrase(self) -> str:
        """The phrase itself."""
        return self.text[self.start : self.end]


@dataclass(frozen=True)
class _Cut:
    ids: list[int]
    first: int
    last: int


def in_context(encoder: Encoder, spans: Sequence[Span], *, layers: int = 1) -> NDArray[np.float32]:
    """Return the mean of the states of each phrase's tokens, of length one: (spans, width).

    Of a text that is longer than the encoder takes, a window around the phrase is read. A token counts where it shares
    a character with the phrase.

    Args:
        encoder: with a fast tokenizer, which knows where its tokens stand.
        spans: the phrases.
        layers: the mean is over the last so many layers.

    Raises:
        ConfigError: layers that are not there.
        DataError: a span that is none, or has no token.
        ModelError: the tokenizer does not tell where tokens stand.
    """
    torch = need("torch", "local")
    count = int(encoder.model[0].auto_model.config.num_hidden_layers)
    if not 1 <= layers <= count:
        raise ConfigError(f"layers are 1 to {count} of {encoder.name}, not {layers}")
    width = int(encoder.model[0].auto_model.config.hidden_size)
    cuts = [_cut(encoder, span, number) for number, span in enumerate(spans, 1)]
    found = np.zeros((len(spans), width), np.float32)
    pad = encoder.tokenizer.pad_token_id or 0
    for batch in buckets([len(cut.ids) for cut in cuts], encoder.batch_tokens):
        longest = max(len(cuts[i].ids) for i in batch)
        ids = torch.full((len(batch), longest), pad, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, i in enumerate(batch):
            ids[row, : len(cuts[i].ids)] = torch.tensor(cuts[i].ids)
            mask[row, : len(cuts[i].ids)] = 1
        with encoder.reading() as body:
            told = body(input_ids=ids.to(body.device), attention_mask=mask.to(body.device), output_hidden_states=True)
            states = torch.stack(told.hidden_states[-layers:]).float().mean(dim=0)
            for row, i in enumerate(batch):
                own = states[row, cuts[i].first : cuts[i].last].mean(dim=0)
                found[i] = torch.nn.functional.normalize(own, dim=0).cpu().numpy()
    return found


def _cut(encoder: Encoder, span: Span, number: int) -> _Cut:
    """Return a span's tokens, special ones included, and which of them are the phrase's."""
    if not 0 <= span.start < span.end <= len(span.text):
        raise DataError(f"span {number}: {span.start} to {span.end} of a text of {len(span.text)} characters")
    if not encoder.tokenizer.is_fast:
        raise ModelError(f"{encoder.name}: its tokenizer does not tell where tokens stand (no tokenizer.json)")
    ids, places = _tokens(encoder, span.text)
    if len(ids) > encoder.max_length:
        start, end = _window(encoder, span, places)
        ids, places = _tokens(encoder, span.text[start:end])
        span = Span(span.text[start:end], span.start - start, min(span.end, end) - start)
    own = [at for at, (first, last) in enumerate(places) if first < span.end and last > span.start]
    own = [at for at in own if at < encoder.max_length]
    if not own:
        raise DataError(f"span {number}: {span.phrase!r} has no token of {encoder.name}")
    return _Cut(ids[: encoder.max_length], own[0], own[-1] + 1)


def _tokens(encoder: Encoder, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    # What turns truncation off is a setting of the tokenizer itself, as in `Encoder.lengths`.
    with encoder._lock:
        told: Any = encoder.tokenizer(text, truncation=False, verbose=False, return_offsets_mapping=True)
    # Special tokens stand from 0 to 0, which shares a character with nothing.
    return list(told["input_ids"]), [(int(a), int(b)) for a, b in told["offset_mapping"]]


def _window(encoder: Encoder, span: Span, places: list[tuple[int, int]]) -> tuple[int, int]:
    """Return where a piece of the text begins and ends that fits, with as much on either side of the phrase."""
    real = [(first, last) for first, last in places if last > first]
    room = encoder.max_length - (len(places) - len(real))
    own = [at for at, (first, last) in enumerate(real) if first < span.end and last > span.start]
    if not own:
        return span.start, span.end
    spare = max(0, room - (own[-1] + 1 - own[0]))
    first = max(0, min(own[0] - spare // 2, len(real) - room))
    last = min(len(real), first + room)
    return min(real[first][0], span.start), real[last - 1][1]
