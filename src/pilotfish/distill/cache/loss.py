"""A student against the k likeliest tokens of its teacher and one bucket for all others: loss and gradient.

The student's softmax is over its whole vocabulary; the tokens its teacher's record does not name are summed into one
class, as they are in the record. Dropping that class, or scaling the k to sum to 1, would tell the student that its
teacher knows nothing but k tokens, and that what it puts elsewhere is free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotfish._extras import need
from pilotfish.distill.cache._codec import TAIL

if TYPE_CHECKING:
    from pilotfish.train.divergence import Divergence

__all__ = ["bucketed"]


def bucketed(z: Any, ids: Any, logprobs: Any, divergence: Divergence, dz: Any) -> Any:
    """Return the divergence over k + 1 classes, (rows,) nats, and write its gradient by `z` into `dz`.

    With P_b the student's mass in class b and g_b the gradient by log P_b, the gradient by the logit of a token i of b
    is (p_i / P_b) g_b: for one of the k that is g_b itself. Where k is the whole vocabulary there is no tail, and this
    is the divergence of the whole distributions.

    Args:
        z: the student's logits divided by the temperature, (rows, vocabulary). Where they are log-probabilities,
            nothing changes.
        ids: the k distinct tokens of each row, (rows, k), int64.
        logprobs: the teacher's log-probabilities of them, (rows, k), nats. They are taken to leave the tail `TAIL` at
            the least, as every record does.
        divergence: of the two.
        dz: (rows, vocabulary), overwritten; it may be `z` itself.
    """
    torch = need("torch", "train")
    k = ids.shape[1]
    own = z.gather(1, ids)
    if k == z.shape[1]:
        grad = torch.empty_like(own)
        log_p, log_q = own.log_softmax(-1), logprobs.to(z.dtype).log_softmax(-1)
        loss = divergence(log_p.exp(), log_q.exp(), log_p, log_q, grad)
        dz.scatter_(1, ids, grad)
        return loss
    if dz is not z:
        dz.copy_(z)
    # The tail's mass is summed over the tail: one minus the others would be all rounding where they have nearly all.
    dz.scatter_(1, ids, -torch.inf)
    largest = dz.amax(1, keepdim=True)
    rest = dz.sub_(largest).exp_().sum(1, keepdim=True)
    log_p = torch.cat([own, largest + rest.log()], dim=1).log_softmax(-1)
    log_q = _with_tail(logprobs).to(z.dtype)
    grad = torch.empty_like(log_p)
    loss = divergence(log_p.exp(), log_q.exp(), log_p, log_q, grad)
    dz.mul_(grad[:, -1:] / rest).scatter_(1, ids, grad[:, :-1])
    return loss


def _with_tail(logprobs: Any) -> Any:
    """Return log-probabilities (rows, k + 1), the last being that of the mass the others leave."""
    torch = need("torch", "train")
    # In float32 a small tail is lost in the rounding of the sum; some devices have nothing wider.
    wide = logprobs if logprobs.device.type == "mps" else logprobs.double()
    tail = (1 - wide.exp().sum(1, keepdim=True)).clamp_min(TAIL).log()
    return torch.cat([wide, tail], dim=1).log_softmax(-1)  # what the least tail adds is taken off all
