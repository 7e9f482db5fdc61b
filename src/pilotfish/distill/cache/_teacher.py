"""A teacher as a cache sees it: the distributions after the tokens that are asked for, and a name for its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ModelError
from pilotfish.models.head import head_of
from pilotfish.train.backbone import body_of, check

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Teacher", "fingerprint"]

# Logits held at once, in bytes of float32. The whole sequence's never exist.
_CHUNK_BYTES = 64 << 20
# Values of each weight that go into a fingerprint: training changes all of them.
_SAMPLE = 256


class Teacher:
    """The next-token distributions of a transformers causal language model in evaluation mode.

    Args:
        module: the model.
        name: its name, for errors.
        vocabulary: how many of its tokens, from the first, its distributions are over.
        k: how many of them are given.
        temperature: logits are divided by it.

    Raises:
        ModelError: its logits are more than its hidden states through its head.
    """

    def __init__(self, module: Any, name: str, vocabulary: int, k: int, temperature: float) -> None:
        self._module, self._name = module, name
        check(module, name)
        self._body, self._head = body_of(module), head_of(module)
        self._vocabulary, self._k, self._temperature = vocabulary, k, temperature

    def distributions(
        self, rows: Sequence[Sequence[int]], masks: Sequence[NDArray[np.bool_]]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield, for each row of ids, the likeliest tokens after those positions that its mask names.

        Args:
            rows: token ids; they go through the model together.
            masks: one flag for each token of a row: whether what follows it is asked for.

        Yields:
            ids (n, k) and natural-log probabilities (n, k), n the flags that are set, likeliest first.

        Raises:
            ModelError: a logit is NaN or infinite.
        """
        torch = need("torch", "train")
        hidden = self._hidden(rows)
        asked = torch.cat([hidden[i, : len(mask)][torch.from_numpy(mask)] for i, mask in enumerate(masks)])
        del hidden
        at_once = max(1, _CHUNK_BYTES // (4 * self._vocabulary))
        logits = torch.empty((min(at_once, len(asked)), self._vocabulary), dtype=torch.float32, device=asked.device)
        ids, logs = [], []
        for piece in asked.split(at_once):
            top = self._top(piece, logits[: len(piece)])
            ids.append(top[0])
            logs.append(top[1])
        found = torch.cat(logs).cpu().numpy()
        if not np.isfinite(found[:, :1]).all():
            raise ModelError(f"{self._name}: a logit is NaN or infinite; try dtype float32")
        ends = np.cumsum([mask.sum() for mask in masks])[:-1]
        yield from zip(np.split(torch.cat(ids).cpu().numpy(), ends), np.split(found, ends), strict=True)

    def _hidden(self, rows: Sequence[Sequence[int]]) -> Any:
        """Return the last hidden states, (rows, longest, dimension)."""
        torch = need("torch", "train")
        # Padded at the end: causal attention keeps real tokens from seeing what comes after them.
        ids = torch.zeros((len(rows), max(len(row) for row in rows)), dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.as_tensor(row)
        return self._body(input_ids=ids.to(self._module.device), use_cache=False).last_hidden_state

    def _top(self, hidden: Any, out: Any) -> tuple[Any, Any]:
        """Return the k likeliest tokens and their log-probabilities: the softmax is over all, then the best are taken.

        A log-probability is a logit less the logarithm of the sum over all, so only k are computed.
        """
        logits = self._head.raw(hidden, self._vocabulary, out)
        self._head.shape_(logits, self._temperature)
        top = logits.topk(self._k, dim=-1)
        largest = top.values[:, :1]
        total = logits.sub_(largest).exp_().sum(-1, keepdim=True).log_()
        return top.indices, top.values - largest - total


def fingerprint(module: Any) -> str:
    """Return a hash of a model's weights, as hex: equal on any device, another after any training.

    It reads some values of each weight, spread over it, so it takes no time.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(module.named_parameters()):
        flat = weight.detach().reshape(-1)
        some = flat[:: max(1, flat.numel() // _SAMPLE)][:_SAMPLE]
        digest.update(f"{name} {tuple(weight.shape)} ".encode() + some.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:32]
