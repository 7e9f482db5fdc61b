"""White-box distillation from a teacher that reads the same words in other tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

from pilotfish.distill.cross import CrossTarget, Hybrid, Pieces, Plan, join, plan_of, shared_vocabulary
from pilotfish.distill.rows import request_of
from pilotfish.distill.whitebox import Weighing, WhiteBox
from pilotfish.models._tokens import encode
from pilotfish.models.head import Head
from pilotfish.models.local import LocalModel
from pilotfish.train.backbone import head_in, seen
from pilotfish.train.batch import Rows, rows_of
from pilotfish.train.examples import Example, answered
from pilotfish.train.fused import Target

__all__ = ["CrossWhiteBox", "Reread"]


@dataclass(frozen=True)
class CrossRows(Rows):
    """Examples of one pass, as both read them.

    Attributes:
        theirs: the same in the teacher's tokens.
        plan: which positions are compared, by their number among the tokens in the loss.
    """

    theirs: Any = None
    plan: Any = None


class Reread:
    """Gives what a student's example says in the teacher's tokens, in the teacher's own template.

    Args:
        rows: of the data; `row` of an example is its row here.
        student: whose examples they are.
        teacher: who reads them too.
    """

    def __init__(self, rows: Sequence[str | Mapping[str, Any]], student: LocalModel, teacher: LocalModel) -> None:
        self._rows, self._student, self._teacher = rows, student, teacher

    def __call__(self, example: Example) -> Example:
        """Return the teacher's example; its end token stands where the student's does."""
        ours, theirs = self._student.tokenizer, self._teacher.tokenizer
        ended = example.ids[-1] == ours.eos_token_id
        row = self._rows[example.row]
        if isinstance(row, str) or "text" in row:
            ids = encode(theirs, _decoded(ours, example.ids))
            if ended and theirs.eos_token_id is not None:
                ids.append(theirs.eos_token_id)
            # A single token in the teacher's reading has no position that predicts it: nothing is compared.
            return Example(tuple(ids) or (0,), min(1, len(ids)) or 1, row=example.row)
        said = _decoded(ours, example.ids[example.start :])
        room = self._teacher.max_length
        found = answered(theirs, request_of(row), said or " ", room, name=self._teacher.name, row=example.row)
        if ended or theirs.eos_token_id is None or found.ids[-1] != theirs.eos_token_id:
            return found
        return Example(found.ids[:-1], found.start, row=example.row)


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


class CrossWhiteBox(WhiteBox):
    """A `Task`: the student learns from a teacher of another vocabulary.

    Tokens that both have are compared by the divergence, all others by their sorted probabilities (ULD), wherever both
    readings have a boundary; see `pilotfish.distill.cross`.

    Args:
        student: a transformers causal LM, adapters or not.
        teacher: another one.
        weighing: the loss.
        reread: gives the teacher's reading of an example.
        tokenizers: the student's and the teacher's.
        batch_tokens: the most tokens, padding included, in one pass over held-out examples.
        name: the student's, for errors.
    """

    def __init__(
        self,
        student: Any,
        teacher: Any,
        weighing: Weighing,
        reread: Reread,
        tokenizers: tuple[Any, Any],
        *,
        batch_tokens: int = 2048,
        name: str = "the student",
    ) -> None:
        super().__init__(student, teacher, weighing, batch_tokens=batch_tokens, name=name)
        self._reread = reread
        self._ours, self._theirs = (Pieces(one) for one in tokenizers)
        self._shared = shared_vocabulary(self._ours, self._theirs, len(head_in(student)), len(head_in(teacher)))

    def prepare(self, examples: Sequence[Example], step: int) -> CrossRows:
        """Return the examples as both read them."""
        mine = super().prepare(examples, step)
        read = [self._reread(one) for one in examples]
        theirs = rows_of(read, mine.ids.device)
        plans = [
            plan_of(
                list(one.ids),
                list(their.ids),
                self._ours,
                self._theirs,
                self._shared,
                student_counts=_counts(one),
                teacher_counts=_counts(their),
            )
            for one, their in zip(examples, read, strict=True)
        ]
        plan = join(plans, _numbers(examples), _numbers(read)).to(mine.ids.device)
        held = {field.name: getattr(mine, field.name) for field in fields(mine)}
        return CrossRows(**held, theirs=theirs, plan=plan)

    def target(self, rows: Rows, states: Any) -> Target:
        """See `WhiteBox`."""
        assert isinstance(rows, CrossRows)
        plan: Plan = rows.plan
        (teacher,) = self._teacher
        with torch.no_grad():
            theirs = seen(teacher, rows.theirs).at(rows.theirs)
        own, head = states.detach(), head_in(self.student)
        loss = Hybrid(self._shared, self.weighing.divergence)
        other = head_in(teacher)
        return CrossTarget(plan, loss, lambda at: _logits(head, own[at]), lambda at: _logits(other, theirs[at]))


def _counts(example: Example) -> list[bool]:
    return [False] * example.start + [True] * example.count


def _numbers(examples: Sequence[Example]) -> list[Any]:
    """Return for each example the number of each position among all tokens in the loss."""
    found, first = [], 0
    for one in examples:
        at = torch.zeros(len(one.ids), dtype=torch.long)
        at[one.start - 1 : len(one.ids) - 1] = torch.arange(first, first + one.count)
        first += one.count
        found.append(at)
    return found


def _logits(head: Head, states: Any) -> Any:
    exact = torch.float64 if states.dtype == torch.float64 else torch.float32
    found = torch.empty((len(states), len(head)), dtype=exact, device=states.device)
    with torch.no_grad(), torch.autocast(states.device.type, enabled=False):
        head.raw(states, len(head), found)
        head.shape_(found, 1.0)
    return found
