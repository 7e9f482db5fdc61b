"""Log-probabilities and next-token logits through a decoder: what a quantised model is worth, not its original."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.model import Scored
from pilotfish.models._scoring import LOGITS, read_off
from pilotfish.models._tokens import buckets

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from pilotfish.decode.decoder import Decoder, Row


@dataclass
class _Continuation:
    """The tokens that are scored in one row, and what has been read of them so far."""

    row: Row
    tokens: list[int]
    logprobs: list[float] = field(default_factory=list)
    greedy: bool = True

    def ready(self, most: int) -> list[int]:
        """Return the tokens that may be fed: those read last; not the very last, which predicts nothing asked for."""
        at = len(self.logprobs) - 1
        return self.tokens[at : min(at + most, len(self.tokens) - 1)]

    def read(self, logits: Tensor) -> None:
        """Read the next tokens' log-probabilities off their logits (tokens, vocabulary)."""
        at = len(self.logprobs)
        values, likeliest = read_off(logits, self.tokens[at : at + len(logits)])
        self.logprobs += values
        self.greedy = self.greedy and likeliest


def score_ids(
    decoder: Decoder,
    rows: Sequence[tuple[list[int], int]],
    *,
    batch_tokens: int,
    progress: Callable[[int], None] | None = None,
) -> list[Scored]:
    """Return log p of each row's tokens from its split on; a row is (ids, number of context ids), split >= 1.

    Contexts are run as prompts; continuations are fed in pieces that keep the logits small, all rows together.
    """
    results = [Scored((), (), True)] * len(rows)
    asked = [i for i, (ids, split) in enumerate(rows) if len(ids) > split]
    if progress and len(asked) < len(rows):
        progress(len(rows) - len(asked))
    for bucket in buckets([len(rows[i][0]) for i in asked], batch_tokens):
        batch = [asked[j] for j in bucket]
        piece = max(1, LOGITS // (decoder.vocabulary * len(batch)))
        opened, first = decoder.start([[rows[i][0][: rows[i][1]]] for i in batch])
        scored = [_Continuation(row, rows[i][0][rows[i][1] :]) for i, row in zip(batch, opened, strict=True)]
        try:
            for one, logits in zip(scored, first[:, None], strict=True):
                one.read(logits)
            while going := [one for one in scored if one.ready(piece)]:
                fed = decoder.feed([one.row for one in going], [one.ready(piece) for one in going])
                for one, logits in zip(going, fed, strict=True):
                    one.read(logits)
        finally:
            for row in opened:
                decoder.close(row)
        for i, one in zip(batch, scored, strict=True):
            results[i] = Scored(tuple(one.logprobs), tuple(one.tokens), one.greedy)
        if progress:
            progress(len(batch))
    return results


def next_logits(decoder: Decoder, rows: Sequence[list[int]], *, batch_tokens: int) -> NDArray[np.float32]:
    """Return the logits after each row of ids: (rows, vocabulary), float32."""
    out = np.zeros((len(rows), decoder.vocabulary if rows else 0), dtype=np.float32)
    for batch in buckets([len(row) for row in rows], batch_tokens):
        open_rows, logits = decoder.start([[rows[i]] for i in batch])
        out[batch] = logits.cpu().numpy()
        for row in open_rows:
            decoder.close(row)
    return out
