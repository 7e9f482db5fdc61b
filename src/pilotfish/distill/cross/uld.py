"""The universal logit distillation loss: distributions over different vocabularies, compared sorted.

Boizard et al. 2024 (Towards Cross-Tokenizer Distillation: the Universal Logit Distillation Loss for LLMs), eq. 4 and 5:
the Wasserstein-1 distance where every token is as far from every other is Σ |p sorted − q sorted|, the shorter vector
filled up with zeros.
"""

from __future__ import annotations

from typing import Any

from pilotfish._extras import need

__all__ = ["sorted_distance", "uld"]


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
    ours, order = p.sort(dim=-1, descending=True)
    difference = ours
    if m:
        difference = ours.clone()
        # Only as many of the teacher's as are needed beside the student's, and the rest of it against zeros.
        theirs = q.sort(dim=-1, descending=True).values
        difference[:, : min(n, m)] -= theirs[:, : min(n, m)]
    loss = difference.abs().sum(-1)
    if m > n:
        loss = loss + theirs[:, n:].sum(-1)
    sign.scatter_(-1, order, torch.sign(difference))
    return loss
