"""The losses of aligned texts by their definitions: loops, dictionaries of events, and autograd."""

from __future__ import annotations

from typing import Any

import torch

from pilotfish.distill.cross import Group, Shared


def events(z: Any, ids: list[int], span: tuple[int, int]) -> tuple[dict[Any, Any], Any]:
    """What a model expects before a group: {token id: probability}, and the group's own probability."""
    start, end = span
    p = z[start - 1].softmax(-1)
    kept = {token: p[token] for token in range(len(p))}
    chain = torch.ones((), dtype=z.dtype)
    for i in range(start + 1, end):
        chain = chain * z[i - 1].softmax(-1)[ids[i]]
    group = p[ids[start]] * chain
    kept[ids[start]] = p[ids[start]] - group
    return kept, group


def sorted_difference(ours: list[Any], theirs: list[Any]) -> Any:
    """Σ |a − b| of two lists, each sorted, the shorter filled up with zeros."""
    zero = torch.zeros((), dtype=torch.float64)
    size = max(len(ours), len(theirs))
    one, other = (sorted(part, key=lambda x: -float(x.detach())) for part in (ours, theirs))
    one, other = one + [zero] * (size - len(one)), other + [zero] * (size - len(other))
    return sum(((a - b).abs() for a, b in zip(one, other, strict=True)), zero)


def uld_of(z: Any, q: Any, ids: list[int], teacher_ids: list[int], group: Group) -> Any:
    """ULD of a group's events."""
    ours, one = events(z, ids, group.student)
    theirs, other = events(q, teacher_ids, group.teacher)
    return sorted_difference([*ours.values(), one], [*theirs.values(), other])


def hybrid_of(
    z: Any, q: Any, ids: list[int], teacher_ids: list[int], group: Group, shared: Shared, at: int, weights: Any
) -> Any:
    """The two KLs of shared classes, half and half, and ULD of the rest; `at` is the group's class, -1 for none."""
    ours, one = events(z, ids, group.student)
    theirs, other = events(q, teacher_ids, group.teacher)
    p = [ours[int(token)] for token in shared.student]
    t = [theirs[int(token)] for token in shared.teacher]
    p_rest = [ours[int(token)] for token in shared.student_rest]
    t_rest = [theirs[int(token)] for token in shared.teacher_rest]
    # With one token on both sides the group is that token; nothing is apart from the vocabularies.
    single = all(end - start == 1 for start, end in (group.student, group.teacher))
    if single:
        ours[ids[group.student[0]]], theirs[teacher_ids[group.teacher[0]]] = one, other
        p = [ours[int(token)] for token in shared.student]
        t = [theirs[int(token)] for token in shared.teacher]
        p_rest = [ours[int(token)] for token in shared.student_rest]
        t_rest = [theirs[int(token)] for token in shared.teacher_rest]
    elif at >= 0:
        p[at], t[at] = p[at] + one, t[at] + other
    else:
        p, t = [*p, one], [*t, other]
    if p_rest:
        p, t = [*p, sum(p_rest)], [*t, sum(t_rest) if t_rest else torch.zeros((), dtype=z.dtype)]
    u, v = torch.stack(p), torch.stack(t)
    if not p_rest:
        v = v / v.sum()
    u, v = u.clamp_min(1e-30), v.clamp_min(1e-30)
    apart = 0.5 * (v * (v / u).log()).sum() + 0.5 * (u * (u / v).log()).sum()
    return weights[0] * apart + weights[1] * sorted_difference(p_rest, t_rest) * bool(p_rest)


class HalfAndHalf:
    """½ KL(q ‖ p) + ½ KL(p ‖ q), as a divergence of the package's kind."""

    name = "half"

    def __call__(self, p: Any, q: Any, log_p: Any, log_q: Any, grad: Any) -> Any:
        """Return (rows,) and write the gradient by the log-scale of p."""
        reverse = (p * (log_p - log_q)).sum(-1)
        grad.copy_(0.5 * (p - q) + 0.5 * p * (log_p - log_q - reverse[:, None]))
        return 0.5 * (q * (log_q - log_p)).sum(-1) + 0.5 * reverse
