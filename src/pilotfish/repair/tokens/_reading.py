"""Windows read by an encoder and a head: a logit a token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.models._tokens import buckets
from pilotfish.models.encoder import Encoder
from pilotfish.repair.tokens._task import padded_windows, token_logits
from pilotfish.repair.tokens.combined import least
from pilotfish.repair.tokens.windows import Window

__all__ = ["Read", "Rule", "body_of", "by_word", "has_types", "window_logits"]

Floats = NDArray[np.float64]
# From (windows, words) logits to (words,).
Rule = Callable[[Floats], Floats]
_NOTHING = -50.0  # of a word that the tokenizer makes nothing of


@dataclass(frozen=True, eq=False)
class Read:
    """What windows say of an answer.

    Attributes:
        words: where they stand, in characters.
        tables: of each piece of the answer (windows, words) logits; infinite of words that it does not have.
    """

    words: tuple[tuple[int, int], ...]
    tables: tuple[Floats, ...]

    def joined(self, rule: Rule = least) -> tuple[Floats, NDArray[np.int64]]:
        """Return the logit of each word by a rule, and over how many windows: (words,) each."""
        logits = np.full(len(self.words), _NOTHING)
        counts = np.ones(len(self.words), dtype=np.int64)
        for table in self.tables:
            joined = rule(table)
            seen = np.isfinite(joined)
            # A word that is cut in two by the end of a piece counts by its worse half.
            logits[seen] = np.maximum(logits[seen], joined[seen])
            counts[seen] = len(table)
        return logits, counts


def window_logits(
    encoder: Encoder, weight: NDArray[np.float32], bias: float, windows: Sequence[Window]
) -> list[NDArray[np.float64]]:
    """Return the logits of each window's tokens that belong to words, batched by length.

    Args:
        encoder: whose transformer reads.
        weight: (dimension + FEATURES,) of the head.
        bias: of the head.
        windows: any number.
    """
    torch = need("torch", "local")
    body = body_of(encoder.load())
    pad, types = encoder.tokenizer.pad_token_id or 0, has_types(body)
    device = encoder.model.device
    column = torch.tensor(weight, device=device)

    def head(states: Any) -> Any:
        return (states @ column + bias)[:, None]

    found: list[NDArray[np.float64]] = [np.zeros(0)] * len(windows)
    with encoder._lock, torch.inference_mode():
        for batch in buckets([len(window.ids) for window in windows], encoder.batch_tokens):
            some = [windows[i] for i in batch]
            row = torch.tensor([at for at, window in enumerate(some) for _ in window.at], device=device)
            at = torch.tensor([place for window in some for place in window.at], device=device)
            features = torch.tensor(np.concatenate([window.features for window in some]), device=device)
            inputs = padded_windows(some, pad, device, types)
            logits = token_logits(body, head, inputs, features, row, at).cpu().double().numpy()
            ends = np.cumsum([len(window.at) for window in some])
            for place, part in zip(batch, np.split(logits, ends[:-1]), strict=True):
                found[place] = part
    return found


def by_word(window: Window, logits: NDArray[np.float64], words: int) -> NDArray[np.float64]:
    """Return (words,) the greatest logit of each word's tokens; infinite where the window has none of it."""
    found = np.full(words, -np.inf)
    np.maximum.at(found, list(window.words), logits)
    found[found == -np.inf] = np.inf
    return found


def body_of(encoder: Encoder) -> Any:
    """Return the transformer within an encoder."""
    return encoder.model[0].auto_model


def has_types(body: Any) -> bool:
    """Say whether a transformer tells two texts apart by types."""
    return int(getattr(body.config, "type_vocab_size", 0) or 0) > 1
