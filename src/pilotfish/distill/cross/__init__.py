"""A teacher whose tokenizer is not the student's.

    ours, theirs = Pieces(student_tokenizer), Pieces(teacher_tokenizer)
    shared = shared_vocabulary(ours, theirs, student_rows, teacher_rows)
    plan = plan_of(student_ids, teacher_ids, ours, theirs, shared)        # both read the same text
    loss = cross_loss(student_logits, teacher_logits, plan, Hybrid(shared, divergence("jsd")), dz)
    losses = fused_loss(hidden, head, CrossTarget(plan, Hybrid(...), student, teacher), …)     # the same, in chunks

Both tokenisations are cut where both have a boundary (`align`). Of each of these groups, the student's distribution at
the position that predicts its first token is compared with the teacher's there: sorted (`ULD`), or token by token where
both vocabularies have the token (`Hybrid`). A group of several tokens counts as one event; see `events`.

Models of one family need none of this: `shared_rows` says how many rows their vocabularies share.
"""

from __future__ import annotations

from pilotfish.distill.cross.align import Group, align
from pilotfish.distill.cross.hybrid import ULD, Hybrid
from pilotfish.distill.cross.loss import cross_loss
from pilotfish.distill.cross.pieces import END, Pieces
from pilotfish.distill.cross.plan import Plan, join, plan_of
from pilotfish.distill.cross.target import CrossTarget
from pilotfish.distill.cross.uld import uld
from pilotfish.distill.cross.vocabulary import Shared, shared_rows, shared_vocabulary

__all__ = [
    "END",
    "ULD",
    "CrossTarget",
    "Group",
    "Hybrid",
    "Pieces",
    "Plan",
    "Shared",
    "align",
    "cross_loss",
    "join",
    "plan_of",
    "shared_rows",
    "shared_vocabulary",
    "uld",
]
