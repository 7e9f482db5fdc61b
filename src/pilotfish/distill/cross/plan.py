"""Which positions of two readings of one text are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from pilotfish._extras import need
from pilotfish.distill.cross.align import align
from pilotfish.distill.cross.pieces import Pieces
from pilotfish.distill.cross.vocabulary import Shared

__all__ = ["Later", "Plan", "join", "plan_of"]


@dataclass(frozen=True)
class Later:
    """The tokens of groups after their first; long tensors (later tokens,).

    Attributes:
        row: the position that predicts it.
        token: its id.
        group: the group it belongs to.
    """

    row: Any
    token: Any
    group: Any

    def to(self, device: Any) -> Later:
        """Return the same on another device."""
        return Later(self.row.to(device), self.token.to(device), self.group.to(device))


@dataclass(frozen=True)
class Plan:
    """The groups of two readings of one text that are compared; long tensors (groups,).

    Attributes:
        student_row: the student's position that predicts the group's first token.
        teacher_row: the teacher's.
        student_first: id of that token.
        teacher_first: likewise.
        student_later: the student's later tokens of all groups.
        teacher_later: the teacher's.
        group_class: the shared class of the group's bytes; −1 where there is none, or none was asked for.
        tokens: how many of the student's tokens the groups have.
    """

    student_row: Any
    teacher_row: Any
    student_first: Any
    teacher_first: Any
    student_later: Later
    teacher_later: Later
    group_class: Any
    tokens: int

    def __len__(self) -> int:
        return len(self.student_row)

    def to(self, device: Any) -> Plan:
        """Return the same on another device."""
        parts = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "tokens"}
        return Plan(**{name: part.to(device) for name, part in parts.items()}, tokens=self.tokens)


def plan_of(
    student_ids: Sequence[int],
    teacher_ids: Sequence[int],
    student: Pieces,
    teacher: Pieces,
    shared: Shared | None = None,
    *,
    student_counts: Sequence[bool] | None = None,
    teacher_counts: Sequence[bool] | None = None,
) -> Plan:
    """Return which positions to compare: those before the first tokens of the groups that `align` finds.

    Position i gives the distribution of token i + 1, so a group that begins a text has none and is left out.

    Args:
        student_ids: the text in the student's tokens, special ones included.
        teacher_ids: the same text in the teacher's; what stands around it may differ (chat templates).
        student: of the student's tokenizer.
        teacher: of the teacher's.
        shared: for the groups' classes; not needed for `ULD`.
        student_counts: which of the student's tokens count (the answer's, say); a group counts where all of its do.
        teacher_counts: likewise the teacher's.
    """
    torch = need("torch", "train")
    pieces = student(student_ids)
    groups = [
        group
        for group in align(pieces, teacher(teacher_ids))
        if group.student[0] and group.teacher[0] and _all(student_counts, group.student)
        if _all(teacher_counts, group.teacher)
    ]
    known = shared.classes if shared is not None else {}
    classes = [known.get(b"".join(pieces[slice(*group.student)]), -1) for group in groups]

    def long(values: list[int]) -> Any:
        return torch.tensor(values, dtype=torch.long)

    def later(ids: Sequence[int], spans: list[tuple[int, int]]) -> Later:
        found = [(i - 1, ids[i], n) for n, (start, end) in enumerate(spans) for i in range(start + 1, end)]
        return Later(*(long([entry[part] for entry in found]) for part in range(3)))

    ours, theirs = [group.student for group in groups], [group.teacher for group in groups]
    return Plan(
        student_row=long([start - 1 for start, _ in ours]),
        teacher_row=long([start - 1 for start, _ in theirs]),
        student_first=long([student_ids[start] for start, _ in ours]),
        teacher_first=long([teacher_ids[start] for start, _ in theirs]),
        student_later=later(student_ids, ours),
        teacher_later=later(teacher_ids, theirs),
        group_class=long(classes),
        tokens=sum(end - start for start, end in ours),
    )


def join(plans: Sequence[Plan], student_rows: Sequence[Any], teacher_rows: Sequence[Any]) -> Plan:
    """Return the plans of several texts as one, over rows that are numbered through.

    Args:
        plans: a text each.
        student_rows: for each text, the row of each of the student's positions, a long tensor (positions,); what it
            says of positions that no group needs does not matter.
        teacher_rows: likewise the teacher's.
    """
    torch = need("torch", "train")

    def all_of(name: str) -> Any:
        return torch.cat([getattr(plan, name) for plan in plans])

    def later(side: str, rows: Sequence[Any]) -> Later:
        parts = [getattr(plan, f"{side}_later") for plan in plans]
        starts = [sum(len(plan) for plan in plans[:i]) for i in range(len(plans))]
        return Later(
            torch.cat([own[part.row] for own, part in zip(rows, parts, strict=True)]),
            torch.cat([part.token for part in parts]),
            torch.cat([part.group + start for part, start in zip(parts, starts, strict=True)]),
        )

    return Plan(
        student_row=torch.cat([own[plan.student_row] for own, plan in zip(student_rows, plans, strict=True)]),
        teacher_row=torch.cat([own[plan.teacher_row] for own, plan in zip(teacher_rows, plans, strict=True)]),
        student_first=all_of("student_first"),
        teacher_first=all_of("teacher_first"),
        student_later=later("student", student_rows),
        teacher_later=later("teacher", teacher_rows),
        group_class=all_of("group_class"),
        tokens=sum(plan.tokens for plan in plans),
    )


def _all(counts: Sequence[bool] | None, span: tuple[int, int]) -> bool:
    return counts is None or all(counts[span[0] : span[1]])
