"""A teacher of another tokenizer as a target of the fused loss, which never keeps a text's logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotfish._extras import need
from pilotfish.distill.cross.hybrid import Hybrid, RowsLoss
from pilotfish.distill.cross.loss import Chains
from pilotfish.distill.cross.plan import Plan

__all__ = ["CrossTarget"]

_TILE = 16  # rows that are asked for at a time, for the chains


class CrossTarget:
    """A `pilotfish.train.fused.Target`: the loss of a group stands at the row that predicts its first token.

    Rows of no group, and those within one, have a loss of 0; the sum over rows is that over groups (`plan.tokens` says
    how many tokens they have). Rows are compared in ascending order and all with one weight, as the gradient within a
    group is made from what its first row gave. The divergence is that of `loss`.

    Args:
        plan: which rows are compared; rows of the student are those that the fused loss is given (`join`).
        loss: `ULD` or `Hybrid`.
        student: gives the student's logits at temperature 1 at rows, without gradients: (rows,) long -> (rows,
            vocabulary). It is asked for those within groups, whose probability is needed before they come up.
        teacher: likewise the teacher's, at its own rows.
    """

    def __init__(
        self, plan: Plan, loss: RowsLoss, student: Callable[[Any], Any], teacher: Callable[[Any], Any]
    ) -> None:
        torch = need("torch", "train")
        self.rows: int | None = None  # all of the student's vocabulary
        self.plan, self.loss, self._student, self._teacher = plan, loss, student, teacher
        self._firsts, self._group_at = torch.sort(plan.student_row)
        self._laters, self._later_at = torch.sort(plan.student_later.row)
        self._chains: Chains | None = None
        self._start = 0
        self._last: Any = None

    def begin(self, start: int, end: int, rows: int, temperature: float) -> None:
        """See `Target`."""
        self._start = start
        if self._chains is None:
            self._chains = Chains(self.plan, self._student, self._teacher, temperature, _TILE)

    def compare(self, within: slice, log_p: Any, p: Any, divergence: Any, grad: Any) -> Any:
        """See `Target`; `divergence` is not looked at."""
        torch = need("torch", "train")
        assert self._chains is not None
        edges = torch.tensor([self._start + within.start, self._start + within.stop], device=p.device)
        out = torch.zeros(len(p), dtype=p.dtype, device=p.device)
        grad.zero_()
        low, high = torch.searchsorted(self._firsts, edges).tolist()
        groups, at = self._group_at[low:high], self._firsts[low:high] - edges[0]
        if len(groups):
            own = torch.empty((len(groups), p.shape[-1]), dtype=p.dtype, device=p.device)
            out[at] = self._chains.compare(self.loss, groups, p[at], own)
            grad[at] = own
        self._last = (groups, at, len(p))
        low, high = torch.searchsorted(self._laters, edges).tolist()
        later, at = self._later_at[low:high], self._laters[low:high] - edges[0]
        if len(later):
            own = torch.zeros((len(later), p.shape[-1]), dtype=p.dtype, device=p.device)
            self._chains.back(later, p[at], own)
            grad[at] = own
        return out

    def likeliest(self, within: slice) -> Any:
        """Return the student's id of the teacher's likeliest token of each row; −1 where it has none."""
        torch = need("torch", "train")
        assert self._chains is not None
        groups, at, rows = self._last
        out = torch.full((rows,), -1, dtype=torch.long, device=self._firsts.device)
        if len(groups) and isinstance(self.loss, Hybrid):
            out[at] = self.loss.shared.in_student(self._chains.likeliest[groups])
        return out
