"""The log-probability of every token of a prompt given those before it, with its likeliest rivals.

It is what `echo` with `logprobs` of a completions endpoint gives, and what evaluation harnesses score answers with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pilotfish._extras import need
from pilotfish.models._scoring import LOGITS
from pilotfish.models._tokens import buckets

if TYPE_CHECKING:
    from pilotfish.decode.decoder import Decoder, Row

__all__ = ["Position", "prompt_logprobs"]

# log p of the token that stands there, and the (token id, log p) of the likeliest ones, likeliest first.
Position = tuple[float, tuple[tuple[int, float], ...]]


def prompt_logprobs(
    decoder: Decoder, rows: Sequence[Sequence[int]], top: int, *, batch_tokens: int
) -> list[list[Position]]:
    """Return a `Position` for every token of each row but its first, which nothing stands before.

    Args:
        decoder: of one model.
        rows: token ids, none empty.
        top: how many of the likeliest tokens are told at each position, 0 for none.
        batch_tokens: the most tokens in one pass, padding included.
    """
    found: list[list[Position]] = [[] for _ in rows]
    asked = [i for i, row in enumerate(rows) if len(row) > 1]
    for bucket in buckets([len(rows[i]) for i in asked], batch_tokens):
        batch = [asked[j] for j in bucket]
        piece = max(1, LOGITS // (decoder.vocabulary * len(batch)))
        opened, first = decoder.start([[list(rows[i][:1])] for i in batch])
        open_rows: dict[int, Row] = dict(zip(batch, opened, strict=True))
        try:
            for i, logits in zip(batch, first[:, None], strict=True):
                _read(logits, rows[i][1:2], top, found[i])
            # The very last token predicts nothing that is asked for, so it is not fed.
            while going := [i for i in batch if len(found[i]) < len(rows[i]) - 1]:
                fed = [list(rows[i][len(found[i]) : min(len(found[i]) + piece, len(rows[i]) - 1)]) for i in going]
                for i, tokens, logits in zip(going, fed, decoder.feed([open_rows[i] for i in going], fed), strict=True):
                    at = len(found[i]) + 1
                    _read(logits, rows[i][at : at + len(tokens)], top, found[i])
        finally:
            for row in opened:
                decoder.close(row)
    return found


def _read(logits: Any, targets: Sequence[int], top: int, into: list[Position]) -> None:
    """Read the targets' log-probabilities off their logits (targets, vocabulary)."""
    torch = need("torch", "local")
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    ids = torch.tensor(list(targets), device=logits.device)
    values = logprobs.gather(-1, ids[:, None])[:, 0].tolist()
    if not top:
        into += [(value, ()) for value in values]
        return
    best = logprobs.topk(min(top, logprobs.shape[-1]), dim=-1)
    for value, rivals, scores in zip(values, best.indices.tolist(), best.values.tolist(), strict=True):
        into.append((value, tuple(zip(rivals, scores, strict=True))))
