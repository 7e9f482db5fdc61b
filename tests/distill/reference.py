"""The divergences and the loss as their papers write them, by autograd over whole logits: slow and plain."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

NAMES = ("forward-kl", "reverse-kl", "jsd", "tv", "skew-kl", "skew-rkl", "adaptive-kl")


def kl(a: Any, b: Any) -> Any:
    """Return Σ a (log a − log b)."""
    return torch.where(a > 0, a * (a.log() - b.log()), torch.zeros_like(a)).sum(-1)


def divergence(name: str, p: Any, q: Any, value: float = 0.5) -> Any:
    """Return (rows,); `value` is β, the skew, or the head's share."""
    if name == "forward-kl":
        return kl(q, p)
    if name == "reverse-kl":
        return kl(p, q)
    if name == "jsd":
        m = value * q + (1 - value) * p
        return value * kl(q, m) + (1 - value) * kl(p, m)
    if name == "tv":
        return (p - q).abs().sum(-1) / 2
    if name == "skew-kl":
        return kl(q, value * q + (1 - value) * p)
    if name == "skew-rkl":
        return kl(p, value * p + (1 - value) * q)
    rows = zip(p.tolist(), q.tolist(), strict=True)
    share = torch.tensor([_head_share(*pair, value) for pair in rows], dtype=p.dtype)
    return share * kl(q, p) + (1 - share) * kl(p, q)


def _head_share(p: list[float], q: list[float], value: float) -> float:
    order = sorted(range(len(q)), key=lambda i: -q[i])
    mass, head = 0.0, []
    for i in order:
        head.append(i)
        mass += q[i]
        if mass >= value:
            break
    gaps = [abs(a - b) for a, b in zip(p, q, strict=True)]
    return sum(gaps[i] for i in head) / sum(gaps)


def logits(hidden: Any, weight: Any, bias: Any = None, scale: float = 1.0, cap: float | None = None) -> Any:
    """Return a head's logits, (tokens, vocabulary)."""
    found = scale * (hidden @ weight.T + (0 if bias is None else bias))
    return found if cap is None else cap * torch.tanh(found / cap)


def loss(name: str, z: Any, u: Any, labels: Any, alpha: float, temperature: float, value: float) -> Any:
    """Return (tokens,): α T² D + (1 − α) CE of student logits z and teacher logits u."""
    shared = min(z.shape[1], u.shape[1])
    p, q = (torch.softmax(one[:, :shared] / temperature, -1) for one in (z, u))
    crossed = -torch.log_softmax(z, -1).gather(1, labels[:, None])[:, 0]
    return alpha * temperature**2 * divergence(name, p, q, value) + (1 - alpha) * crossed
