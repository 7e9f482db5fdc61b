"""Log-probabilities, hidden states and next-token logits of texts, in batches bucketed by length.

Rows are padded on the left, so every row's continuation ends at the last position and only the logits that are needed
are computed (`logits_to_keep`). Masks and positions come from the lengths, never from the pad id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ConfigError
from pilotfish.model import Scored
from pilotfish.models._tokens import buckets

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The most logits held at once, 256 MB in float32; one row with a long continuation may exceed it.
LOGITS = 64_000_000


def left_padded(rows: Sequence[Sequence[int]], device: Any) -> dict[str, Any]:
    """Return input_ids, attention_mask and position_ids, each (rows, longest row), padded on the left."""
    torch = need("torch", "local")
    longest = max(len(row) for row in rows)
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, longest - len(row) :] = torch.tensor(row)
        mask[i, longest - len(row) :] = 1
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    return {
        "input_ids": ids.to(device),
        "attention_mask": mask.to(device),
        "position_ids": positions.to(device),
    }


def score_ids(
    model: Any,
    rows: Sequence[tuple[list[int], int]],
    *,
    batch_tokens: int,
    progress: Callable[[int], None] | None = None,
) -> list[Scored]:
    """Return log p of each row's tokens from its split on; a row is (ids, number of context ids), split >= 1.

    `progress` is called with the number of rows each batch finishes.
    """
    torch = need("torch", "local")
    # A row whose continuation is empty needs no pass: its log-probability is 0.
    results = [Scored((), (), True)] * len(rows)
    asked = [i for i, (ids, split) in enumerate(rows) if len(ids) > split]
    if progress and len(asked) < len(rows):
        progress(len(rows) - len(asked))
    vocabulary = int(model.get_output_embeddings().weight.shape[0])
    with torch.inference_mode():
        for bucket in buckets([len(rows[i][0]) for i in asked], batch_tokens):
            batch = [asked[j] for j in bucket]
            keep = max(len(rows[i][0]) - rows[i][1] for i in batch)
            step = max(1, LOGITS // (vocabulary * keep))
            for start in range(0, len(batch), step):
                part = batch[start : start + step]
                # The last token predicts nothing that is asked for, so it is not fed.
                inputs = left_padded([rows[i][0][:-1] for i in part], model.device)
                logits = model(**inputs, logits_to_keep=keep, use_cache=False).logits
                for j, i in enumerate(part):
                    ids, split = rows[i]
                    values, likeliest = read_off(logits[j, split - len(ids) :], ids[split:])
                    results[i] = Scored(tuple(values), tuple(ids[split:]), likeliest)
                if progress:
                    progress(len(part))
    return results


def read_off(logits: Any, targets: Sequence[int]) -> tuple[list[float], bool]:
    """Return log p of each target by its row of logits (targets, vocabulary), and whether all were the likeliest."""
    torch = need("torch", "local")
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    ids = torch.tensor(list(targets), device=logits.device)
    return logprobs.gather(-1, ids[:, None])[:, 0].tolist(), bool((logprobs.argmax(-1) == ids).all())


def next_logits(model: Any, rows: Sequence[list[int]], *, batch_tokens: int) -> NDArray[np.float32]:
    """Return the logits after each row of ids: (rows, vocabulary), float32."""
    torch = need("torch", "local")
    out: list[Any] = [None] * len(rows)
    with torch.inference_mode():
        for batch in buckets([len(row) for row in rows], batch_tokens):
            inputs = left_padded([rows[i] for i in batch], model.device)
            logits = model(**inputs, logits_to_keep=1, use_cache=False).logits[:, -1].float().cpu().numpy()
            for j, i in enumerate(batch):
                out[i] = logits[j]
    return np.stack(out) if out else np.zeros((0, 0), dtype=np.float32)


def hidden_states(
    model: Any,
    rows: Sequence[list[int]],
    layer: int,
    *,
    batch_tokens: int,
    mean: bool = False,
    progress: Callable[[int], None] | None = None,
) -> list[NDArray[np.float32]]:
    """Return the hidden states of one layer: a (tokens, width) array a row. Layer 0 is the embedding, -1 the last.

    With `mean` their averages over a row's tokens, (width,) each: no more than a batch's states are ever held.

    Raises:
        ConfigError: the model has no such layer.
    """
    torch = need("torch", "local")
    layers = int(model.config.num_hidden_layers) + 1
    if not -layers <= layer < layers:
        raise ConfigError(
            f"no layer {layer}: this model has layers 0 (the embedding) to {layers - 1}, or -1 for the last"
        )
    out: list[Any] = [None] * len(rows)
    with torch.inference_mode():
        for batch in buckets([len(row) for row in rows], batch_tokens):
            inputs = left_padded([rows[i] for i in batch], model.device)
            states = model(**inputs, logits_to_keep=1, use_cache=False, output_hidden_states=True).hidden_states
            chosen = states[layer].float().cpu().numpy()
            for j, i in enumerate(batch):
                own = chosen[j, chosen.shape[1] - len(rows[i]) :]
                out[i] = own.mean(axis=0) if mean else own
            if progress:
                progress(len(batch))
    return list(out)
