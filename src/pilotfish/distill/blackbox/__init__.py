"""Black-box distillation: the teacher is any model, of which only the answers are seen.

    taught = answers(rows, teacher, "taught", prompt="Solve it: {question}", samples=8, temperature=0.7, seed=0,
                     keep=[Agreeing(0.5, "last-number"), Best("mean-logprob")])
    taught = rationales(rows, teacher, "taught", question="{text}", labels=["spam", "ham"])
    taught = preferences(rows, student, JudgePairs(teacher), "taught", prompt="{question}", temperature=1.0)

What the teacher says is stored as it comes (`asking`), so that a kill loses no paid answer and other filters ask for
none again. Every maker of rows gives one format, which all trainers take: `messages`, `answer` and `weight`; the row it
was made of stands under `source`, so that a column of its own is never taken for one of these.
"""

from __future__ import annotations

from pilotfish.distill.blackbox.answers import answers
from pilotfish.distill.blackbox.dpo import dpo_loss
from pilotfish.distill.blackbox.filters import Agreeing, Best, Filter, Graded, Group, Verified
from pilotfish.distill.blackbox.judge import BestByJudge
from pilotfish.distill.blackbox.preferences import JudgePairs, preferences
from pilotfish.distill.blackbox.rationales import LabelPrefixed, rationales
from pilotfish.distill.blackbox.report import Gathered, Taught
from pilotfish.models.judges import JudgeGrades, JudgeReward
from pilotfish.rows.asking import Bill, Said

__all__ = [
    "Agreeing",
    "Best",
    "BestByJudge",
    "Bill",
    "Filter",
    "Gathered",
    "Graded",
    "Group",
    "JudgeGrades",
    "JudgePairs",
    "JudgeReward",
    "LabelPrefixed",
    "Said",
    "Taught",
    "Verified",
    "answers",
    "dpo_loss",
    "preferences",
    "rationales",
]
