"""The universal logit distillation loss: distributions over different vocabularies, compared sorted.

Boizard et al. 2024 (Towards Cross-Tokenizer Distillation: the Universal Logit Distillation Loss for LLMs), eq. 4 and 5:
the Wasserstein-1 distance where every token is as far from every other is Σ |p sorted − q sorted|, the shorter vector
filled up with zeros.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pilotfish._extras import need

__all__ = ["sorted_distance", "uld"]

_MOST = (1 << 31) - 1


def uld(z: Any, q: Any, dz: Any) -> Any:
    """Return Σ |p − q|, both sorted, of each row: (rows,), from 0 to 2; write its gradient by the logits into `dz`.

    Rows are apart from each other, so a long text is done in tiles of them.

    Args:
        z: the student's logits, (rows, student's vocabulary).
        q: the teacher's probabilities, (rows, teacher's vocabulary).
        dz: like z, overwritten; it may be z itself.
    """
    p = z.softmax(-1)
    loss = sorted_distance(p, q, dz)
    dz.mul_(p)
    dz.addcmul_(p, dz.sum(-1, keepdim=True), value=-1)
    return loss


def sorted_distance(p: Any, q: Any, sign: Any) -> Any:
    """Return Σ |p − q| of non-negative rows sorted, (rows,), and write its gradient by p, of −1, 0 and 1, into `sign`.

    p (rows, n) and q (rows, m) may differ in length; the shorter is filled up with zeros.
    """
    torch = need("torch", "train")
    n, m = p.shape[-1], q.shape[-1]
    if not n:
        return q.sum(-1)
    ours, order = _descending(p)
    difference = ours
    if m:
        difference = ours.clone()
        # Only as many of the teacher's as are needed beside the student's, and the rest of it against zeros.
        theirs = _largest_first(q)
        difference[:, : min(n, m)] -= theirs[:, : min(n, m)]
    loss = difference.abs().sum(-1)
    if m > n:
        loss = loss + theirs[:, n:].sum(-1)
    sign.scatter_(-1, order, torch.sign(difference))
    return loss


def _descending(p: Any) -> tuple[Any, Any]:
    """Return non-negative rows from their largest to their smallest, and where each stood."""
    torch = need("torch", "train")
    if not _on_cpu(p):
        found = p.sort(dim=-1, descending=True)
        return found.values, found.indices
    # Bits of floats that are not negative are in the order of the floats. With the place behind them in one word they
    # are sorted by numpy's vector instructions: a tenth of the time of torch's sort (152,000 classes: 1.0 and 10.4 ms).
    bits = p.contiguous().numpy().view(np.int32)
    words = ((_MOST - bits.astype(np.int64)) << 32) | np.arange(bits.shape[-1])
    words.sort(axis=-1)
    values = (_MOST - (words >> 32)).astype(np.int32).view(np.float32)
    return torch.from_numpy(values), torch.from_numpy(words & 0xFFFFFFFF)


def _largest_first(q: Any) -> Any:
    """Return rows from their largest to their smallest."""
    torch = need("torch", "train")
    if not _on_cpu(q):
        return q.sort(dim=-1, descending=True).values
    return torch.from_numpy(np.sort(q.contiguous().numpy(), axis=-1)[:, ::-1].copy())


def _on_cpu(x: Any) -> bool:
    return x.device.type == "cpu" and str(x.dtype) == "torch.float32" and not x.requires_grad
