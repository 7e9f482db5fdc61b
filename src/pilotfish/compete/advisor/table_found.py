"""What an advice on a table found of every leaf of the survey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pilotfish.compete.advisor.leaves import Finding, accounted, gained, idle, untried
from pilotfish.compete.advisor.table_small import TRANSPARENT, SmallTable, baseline

if TYPE_CHECKING:
    from pilotfish.compete.advisor.table_large import LargeTable
    from pilotfish.compete.graded import Graded
    from pilotfish.compete.mix import Threshold
    from pilotfish.compete.tables.task import TableTask
    from pilotfish.model import Model

__all__ = ["table_findings"]

_SMALL = 500  # training rows below which made-up ones may help


def table_findings(
    task: TableTask,
    smalls: Sequence[SmallTable],
    best: SmallTable,
    asked: LargeTable | None,
    deferring: tuple[Graded, Threshold] | None,
    large: Model | None,
) -> tuple[Finding, ...]:
    """Return what was found of each leaf; see `advise_table` for what is given."""
    none = "there is no large model" if large is None else "the budget did not pay for the large model"
    if large is not None and task.kind != "classes":
        none = "a number is foretold, and a large model is asked for classes"
    rival = asked.best if asked is not None else baseline(task)
    told = f"{best.candidate.title}, the best of {len(smalls)} kinds in folds of the training rows"
    found = [gained("tables", best.candidate, rival, told)]
    clear = [one for one in smalls if one.kind.name in TRANSPARENT]
    if clear:
        clearest = max(clear, key=lambda one: one.candidate.chosen_by)
        what = f"the price of a model that can be read whole: {clearest.candidate.title}"
        found.append(
            gained("explain", clearest.candidate, best.candidate, what)
            if clearest is not best
            else Finding(
                "explain",
                "tried",
                f"{best.candidate.title} is the choice among small models, and can be read whole",
                best.candidate.key,
            )
        )
    else:
        found.append(untried("explain", "neither a linear nor an additive model was among the kinds"))
    if deferring is not None and asked is not None:
        share = float(deferring[0].details["deferred"])
        found.append(gained("cascade", deferring[0], asked.best, f"{share:.0%} of the rows go to {asked.best.title}"))
    else:
        found.append(idle("cascade", none) if large is None else untried("cascade", none))
    if asked is not None and asked.few is not None:
        shots = asked.few.details["shots"]
        found.append(
            gained("prompt-enhance", asked.few, asked.zero, f"{shots} training rows stand solved in the prompt")
        )
    else:
        found.append(idle("prompt-enhance", none) if large is None else untried("prompt-enhance", none))
    found += _others(task, large is not None, none)
    return accounted(found)


def _others(task: TableTask, large: bool, none: str) -> list[Finding]:
    rows = len(task.train)
    few = rows < _SMALL
    table, prose = "rows of a table are not text to learn from", "there is no text in free form"
    return [
        untried("distil-black", "no rows without a value were given for the large model to label")
        if large
        else idle("distil-black", none),
        idle("distil-white", "trees do not learn from a language model's logits over tokens"),
        untried("synthesis-scratch", f"only {rows} rows to learn from; `pilotfish synthesize` writes text, not tables")
        if few
        else idle("synthesis-scratch", f"there are {rows:,} rows to learn from"),
        untried("synthesis-labels", "no rows without a value were given") if large else idle("synthesis-labels", none),
        idle("synthesis-augment", table),
        idle("curate-pretraining", "nothing is pre-trained for this task"),
        idle("curate-instructions", "nothing is tuned by instructions"),
        idle("weak-to-strong", "the large model is not trained on tables"),
        idle("align", prose),
        untried("route", "the cascade goes by what the small model made of the row, which costs next to nothing")
        if large
        else idle("route", none),
        idle("speculate", "an answer is one word"),
        idle("evaluate", "right answers are there: nobody is asked to judge"),
        idle("adapt-white", prose),
        idle("adapt-black", prose),
        idle("retrieve", "the rows hold all that is known of them"),
        idle("prompt-compress", "a row is short") if large else idle("prompt-compress", none),
        idle("verify", "an answer is one of the classes" if task.classes else "an answer is a number"),
        idle("contrast", prose),
        idle("plug-ins", prose),
        untried("constrained", "latency, memory and energy stand in each candidate's row"),
        idle("text", prose),
        idle("phrases", prose),
        idle("entities", "rows that stand for the same thing in two tables would be `pilotfish match`"),
    ]
