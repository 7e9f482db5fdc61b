"""The loss of a text that student and teacher read in tokens of their own, with its gradient by the logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotfish._extras import need
from pilotfish.distill.cross.hybrid import Rows, RowsLoss
from pilotfish.distill.cross.plan import Later, Plan

__all__ = ["Chains", "cross_loss"]

_TILE_BYTES = 32 << 20  # of the probabilities that are worked on together


def cross_loss(z: Any, z_teacher: Any, plan: Plan, loss: RowsLoss, dz: Any, *, temperature: float = 1.0) -> Any:
    """Return the loss of each group, (groups,), and write the gradient of their sum by the logits into `dz`.

    The gradient reaches all positions of the student that a group's probability depends on. `CrossTarget` does the same
    where no logits are kept.

    Args:
        z: the student's logits, (positions, vocabulary).
        z_teacher: the teacher's, (its positions, its vocabulary).
        plan: which positions are compared.
        loss: `ULD` or `Hybrid`.
        dz: like z, overwritten; not z itself. Positions of no group get zeros.
        temperature: of both distributions, those within groups too. The gradient is that by z, 1 / T included; T² is
            the caller's (Hinton et al. 2015, section 2).
    """
    torch = need("torch", "train")
    plan = plan.to(z.device)
    tile = max(1, _TILE_BYTES // (max(z.shape[-1], z_teacher.shape[-1]) * z.element_size()))
    chains = Chains(plan, lambda at: z[at], lambda at: z_teacher[at], temperature, tile)
    dz.zero_()
    out = torch.zeros(len(plan), dtype=z.dtype, device=z.device)
    for part in torch.arange(len(plan), device=z.device).split(tile):
        at = plan.student_row[part]
        p = (z[at] / temperature).softmax(-1)
        grad = torch.empty_like(p)
        out[part] = chains.compare(loss, part, p, grad)
        dz.index_add_(0, at, grad)
    later = plan.student_later
    for part in torch.arange(len(later.row), device=z.device).split(tile):
        at = later.row[part]
        grad = torch.zeros_like(z[at])
        chains.back(part, (z[at] / temperature).softmax(-1), grad)
        dz.index_add_(0, at, grad)
    dz.div_(temperature)
    return out


class Chains:
    """The groups of a plan, with the probabilities of their chains.

    Args:
        plan: on the models' device.
        student: gives the student's logits at rows, (rows,) long -> (rows, vocabulary).
        teacher: likewise.
        temperature: of both.
        tile: how many rows are asked for at a time.

    Attributes:
        likeliest: (groups,) the teacher's likeliest token where it predicts each group; −1 before it was compared.
    """

    def __init__(
        self,
        plan: Plan,
        student: Callable[[Any], Any],
        teacher: Callable[[Any], Any],
        temperature: float,
        tile: int,
    ) -> None:
        torch = need("torch", "train")
        self.plan, self._teacher, self._temperature = plan, teacher, temperature
        self._tails = [
            _tails(ask, later, len(plan), temperature, tile)
            for ask, later in ((student, plan.student_later), (teacher, plan.teacher_later))
        ]
        self._chained = torch.zeros(len(plan), dtype=torch.bool, device=plan.student_row.device)
        self._chained[plan.student_later.group] = True
        self._chained[plan.teacher_later.group] = True
        self._of_tail: Any = None
        self.likeliest = torch.full_like(plan.student_row, -1)

    def compare(self, loss: RowsLoss, part: Any, p: Any, grad: Any) -> Any:
        """Return the losses of some groups, (groups,), and write the gradient by the logits over T into `grad`.

        Args:
            loss: of rows.
            part: which groups, (groups,) long.
            p: the student's probabilities where it predicts each, (groups, vocabulary).
            grad: like p, overwritten.
        """
        torch = need("torch", "train")
        plan = self.plan
        if self._of_tail is None:
            self._of_tail = torch.zeros(len(plan), dtype=p.dtype, device=p.device)
        out = torch.zeros(len(part), dtype=p.dtype, device=p.device)
        q = (self._teacher(plan.teacher_row[part]).to(p.dtype) / self._temperature).softmax(-1)
        self.likeliest[part] = q.argmax(-1)
        for chained in (False, True):
            here = (self._chained[part] == chained).nonzero()[:, 0]
            if not len(here):
                continue
            ours, groups = p[here], part[here]
            own = torch.empty_like(ours)
            if chained:
                rows = Rows(
                    plan.student_first[groups],
                    plan.teacher_first[groups],
                    self._tails[0][groups].to(p.dtype),
                    self._tails[1][groups].to(p.dtype),
                    plan.group_class[groups],
                )
                out[here], self._of_tail[groups] = loss.chained(ours, q[here], rows, own)
            else:
                out[here] = loss.plain(ours, q[here], own)
            grad[here] = own.addcmul_(ours, own.sum(-1, keepdim=True), value=-1)
        return out

    def back(self, part: Any, p: Any, grad: Any) -> None:
        """Add to `grad` what reaches later tokens' logits over T, once their groups have been compared.

        Args:
            part: which of the student's later tokens, (tokens,) long.
            p: the student's probabilities where it predicts each, (tokens, vocabulary).
            grad: like p.
        """
        later = self.plan.student_later
        weight = self._of_tail[later.group[part]][:, None].to(p.dtype)
        grad.addcmul_(p, weight, value=-1)
        grad.scatter_add_(-1, later.token[part][:, None], weight)


def _tails(ask: Callable[[Any], Any], later: Later, groups: int, temperature: float, tile: int) -> Any:
    """Return the log-probability of each group's tokens after its first: (groups,), float64."""
    torch = need("torch", "train")
    out = torch.zeros(groups, dtype=torch.float64, device=later.row.device)
    for part in torch.arange(len(later.row), device=later.row.device).split(tile):
        logits = ask(later.row[part])
        scaled = (logits if logits.dtype == torch.float64 else logits.float()) / temperature
        logs = scaled.gather(-1, later.token[part][:, None])[:, 0] - scaled.logsumexp(-1)
        # Rounding may put a sure token's a little above 0.
        out.index_add_(0, later.group[part], logs.double().clamp_max_(0))
    return out
