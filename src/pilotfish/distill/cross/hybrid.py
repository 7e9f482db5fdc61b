"""The loss of aligned positions: token by token where the vocabularies agree, sorted where they do not.

The idea of TRL's GOLD trainer ("hybrid" ULD, `docs/source/gold_trainer.md`): tokens that both vocabularies have are
compared directly, the others by ULD. Here the shared tokens are the classes of any divergence, together with one class
for all the others (and one for the group, where it is several tokens to either model), so that what is compared is a
distribution still.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pilotfish._extras import need
from pilotfish.distill.cross.events import split
from pilotfish.distill.cross.uld import sorted_distance
from pilotfish.distill.cross.vocabulary import Shared

if TYPE_CHECKING:
    from pilotfish.train.divergence import Divergence

__all__ = ["ULD", "Hybrid", "Rows", "RowsLoss"]

_TINY = 1e-30


@dataclass(frozen=True)
class Rows:
    """What is known of aligned rows; tensors (rows,).

    Attributes:
        student_first: id of the student's first token of each group.
        teacher_first: id of the teacher's.
        student_tail: log-probability of the student's later tokens of the group; 0 where there are none.
        teacher_tail: likewise.
        group_class: the class of the group's bytes, where a token of both vocabularies has them all; else −1.
    """

    student_first: Any
    teacher_first: Any
    student_tail: Any
    teacher_tail: Any
    group_class: Any


class RowsLoss(Protocol):
    """A loss of aligned rows."""

    def plain(self, p: Any, q: Any, grad: Any) -> Any:
        """Return (rows,) losses of rows whose groups are one token each.

        Args:
            p: the student's probabilities, (rows, student's vocabulary).
            q: the teacher's, (rows, teacher's vocabulary).
            grad: like p; overwritten with the gradient by log p.
        """

    def chained(self, p: Any, q: Any, rows: Rows, grad: Any) -> tuple[Any, Any]:
        """Return (rows,) losses of other rows, and their gradient by `rows.student_tail`; arguments as in `plain`."""


@dataclass(frozen=True)
class ULD:
    """`uld` of each row; where a group is several tokens, of its events (see `events`)."""

    def plain(self, p: Any, q: Any, grad: Any) -> Any:
        """See `RowsLoss`."""
        loss = sorted_distance(p, q, grad)
        grad.mul_(p)
        return loss

    def chained(self, p: Any, q: Any, rows: Rows, grad: Any) -> tuple[Any, Any]:
        """See `RowsLoss`."""
        torch = need("torch", "train")
        ours = split(p, rows.student_first, rows.student_tail)
        theirs = split(q, rows.teacher_first, rows.teacher_tail)
        mine = torch.cat([ours.kept, ours.group[:, None]], -1)
        other = torch.cat([theirs.kept, theirs.group[:, None]], -1)
        sign = torch.zeros_like(mine)
        loss = sorted_distance(mine, other, sign)
        sign.mul_(mine)
        grad.copy_(sign[:, :-1])
        return loss, ours.back(grad, sign[:, -1])


@dataclass(frozen=True)
class Hybrid:
    """matched · D(shared tokens, the rest as one) + unmatched · ULD of the rest.

    Where the student has no tokens but shared ones, its teacher's others are left out and its shared ones scaled up.

    Args:
        shared: which tokens are shared.
        divergence: of `pilotfish.train.divergence`, or any other of its kind.
        matched: weight of the divergence.
        unmatched: weight of ULD.
    """

    shared: Shared
    divergence: Divergence
    matched: float = 1.0
    unmatched: float = 1.0

    def plain(self, p: Any, q: Any, grad: Any) -> Any:
        """See `RowsLoss`."""
        return self._compare(p, q, None, None, None, grad)[0]

    def chained(self, p: Any, q: Any, rows: Rows, grad: Any) -> tuple[Any, Any]:
        """See `RowsLoss`."""
        ours = split(p, rows.student_first, rows.student_tail)
        theirs = split(q, rows.teacher_first, rows.teacher_tail)
        loss, of_group = self._compare(ours.kept, theirs.kept, ours.group, theirs.group, rows.group_class, grad)
        return loss, ours.back(grad, of_group)

    def _compare(
        self, p: Any, q: Any, p_group: Any, q_group: Any, group_class: Any, grad: Any
    ) -> tuple[Any, Any | None]:
        """Return (rows,) losses and their gradient by the logarithm of the student's groups, where there are groups."""
        torch = need("torch", "train")
        shared = self.shared
        p_rest, q_rest = p[:, shared.student_rest], q[:, shared.teacher_rest]
        with_rest = p_rest.shape[-1] > 0
        classes = []
        for own, ids, rest, group in (
            (p, shared.student, p_rest, p_group),
            (q, shared.teacher, q_rest, q_group),
        ):
            parts = [own[:, ids]]
            if with_rest:
                parts.append(rest.sum(-1, keepdim=True))
            if group is not None:
                # A column for groups that no shared token spells.
                alone = group_class < 0
                parts.append((group * alone)[:, None])
                parts[0] = parts[0].scatter_add(-1, group_class.clamp_min(0)[:, None], (group * ~alone)[:, None])
            classes.append(torch.cat(parts, -1) if len(parts) > 1 else parts[0])
        ours, theirs = classes
        if not with_rest and q_rest.shape[-1]:
            theirs = theirs / theirs.sum(-1, keepdim=True).clamp_min(_TINY)
        # No class is left at 0: logarithms stay finite, and nothing else changes.
        ours, theirs = ours.clamp_min(_TINY), theirs.clamp_min(_TINY)
        of_class = torch.empty_like(ours)
        loss = self.matched * self.divergence(ours, theirs, ours.log(), theirs.log(), of_class)
        of_class.mul_(self.matched)
        count = len(shared.student)
        of_group = None
        if p_group is not None:
            column = torch.where(alone, count + with_rest, group_class)[:, None]
            of_whole = of_class.gather(-1, column)[:, 0]
            whole = ours.gather(-1, column)[:, 0]
            # What a shared token and the group have of their class.
            of_group = of_whole * torch.where(alone, 1.0, p_group / whole)
            of_class.scatter_add_(-1, column, -of_group[:, None])
        grad[:, shared.student] = of_class[:, :count]
        if with_rest:
            sign = torch.empty_like(p_rest)
            loss = loss + self.unmatched * sorted_distance(p_rest, q_rest, sign)
            of_rest = of_class[:, count : count + 1] / ours[:, count : count + 1]
            grad[:, shared.student_rest] = p_rest * (of_rest + self.unmatched * sign)
        return loss, of_group
