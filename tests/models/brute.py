"""The plain reading of what a language model says: one text at a time, no batch, no padding, no cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.models._tokens import encode_pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.local import LocalModel


def forward(model: Any, ids: list[int]) -> NDArray[np.float64]:
    """The log-probabilities after every token: (tokens, vocabulary)."""
    torch = need("torch", "local")
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double()
        return np.asarray(torch.log_softmax(logits, dim=-1).numpy())


def tail_logprobs(model: Any, ids: list[int], split: int) -> list[float]:
    """log p of each of ids[split:] given all before it."""
    logprobs = forward(model, ids)
    return [float(logprobs[at - 1, ids[at]]) for at in range(split, len(ids))]


def total(local: LocalModel, context: str, continuation: str) -> float:
    """log p(continuation | context)."""
    return sum(tail_logprobs(local.model, *encode_pair(local.tokenizer, context, continuation)))
