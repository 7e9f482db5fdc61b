"""Log-probabilities and next-token logits through a decoder: what a quantised model is worth, not its original."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pilotfish._extras import need
from pilotfish.model import Scored
from pilotfish.models._tokens import buckets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.decode.decoder import Decoder, Row

# The most logits of one pass, 256 MB in float32.
LOGITS = 64_000_000


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
        open_rows, first = decoder.start([[rows[i][0][: rows[i][1]]] for i in batch])
        logprobs: list[list[float]] = [[] for _ in batch]
        greedy = [True] * len(batch)

        def read(j: int, logits: object, targets: Sequence[int]) -> None:
            values, all_likeliest = _read(logits, targets)
            logprobs[j] += values  # noqa: B023 called in this turn of the loop only
            greedy[j] &= all_likeliest  # noqa: B023

        try:
            for j, i in enumerate(batch):
                ids, split = rows[i]
                read(j, first[j : j + 1], ids[split : split + 1])
            piece = max(1, LOGITS // (decoder.vocabulary * len(batch)))
            longest = max(len(rows[i][0]) - rows[i][1] for i in batch) - 1
            for start in range(0, longest, piece):
                going: list[tuple[int, Row, list[int], list[int]]] = []
                for j, i in enumerate(batch):
                    ids, split = rows[i]
                    # The last token predicts nothing that is asked for, so it is not fed.
                    fed = ids[split + start : min(split + start + piece, len(ids) - 1)]
                    if fed:
                        targets = ids[split + start + 1 : split + start + 1 + len(fed)]
                        going.append((j, open_rows[j], fed, targets))
                if going:
                    for one, logits in zip(
                        going, decoder.feed([one[1] for one in going], [one[2] for one in going]), strict=True
                    ):
                        read(one[0], logits, one[3])
        finally:
            for row in open_rows:
                decoder.close(row)
        for j, i in enumerate(batch):
            ids, split = rows[i]
            results[i] = Scored(tuple(logprobs[j]), tuple(ids[split:]), greedy[j])
        if progress:
            progress(len(batch))
    return results


def _read(logits: object, targets: Sequence[int]) -> tuple[list[float], bool]:
    """Return log p of the targets by logits (targets, vocabulary), and whether each was the likeliest."""
    torch = need("torch", "local")
    logprobs = torch.log_softmax(logits, dim=-1)
    ids = torch.tensor(list(targets), device=logprobs.device)
    return logprobs.gather(-1, ids[:, None])[:, 0].tolist(), bool((logprobs.argmax(-1) == ids).all())


def next_logits(decoder: Decoder, rows: Sequence[list[int]], *, batch_tokens: int) -> NDArray[np.float32]:
    """Return the logits after each row of ids: (rows, vocabulary), float32."""
    out = np.zeros((len(rows), decoder.vocabulary if rows else 0), dtype=np.float32)
    for batch in buckets([len(row) for row in rows], batch_tokens):
        open_rows, logits = decoder.start([[rows[i]] for i in batch])
        out[batch] = logits.cpu().numpy()
        for row in open_rows:
            decoder.close(row)
    return out
