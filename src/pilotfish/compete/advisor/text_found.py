"""What an advice on text classification found of every leaf of the survey."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotfish.compete.advisor.leaves import Finding, accounted, gained, idle, untried
from pilotfish.models.local import LocalModel

if TYPE_CHECKING:
    from pilotfish.compete.advise import Advice
    from pilotfish.compete.candidate import Candidate

__all__ = ["text_findings"]

_ENOUGH = 20  # training rows a label from which on nobody needs made-up ones


def text_findings(advice: Advice) -> tuple[Finding, ...]:
    """Return what was found of each leaf."""
    by_key = {one.key: one for one in advice.candidates}
    judged, large = advice.judged, advice.had_large
    none = "the budget did not pay for the large model" if large else "there is no large model"

    def absent(leaf: str) -> Finding:
        return untried(leaf, none) if large else idle(leaf, none)

    rival = judged.best if judged is not None else next(one for one in advice.candidates if one.family == "baseline")
    found = [gained("text", advice.small, rival, f"{advice.small.title}, the best small model that people taught")]
    if judged is not None:
        deferring = by_key.get("cascade")
        if deferring is not None:
            share = float(deferring.details["deferred"])
            found.append(
                gained("cascade", deferring, judged.best, f"{share:.0%} of the rows go to {judged.best.title}")
            )
        if judged.few is not None:
            found.append(
                gained("prompt-enhance", judged.few, judged.zero, f"{judged.few.title}: a typical row a label")
            )
    found += _taught(advice, absent("distil-black"), absent("synthesis-labels"))
    found += [_clear(advice, by_key), *_rest(advice, none)]
    found += [absent("cascade"), absent("prompt-enhance")]
    return accounted(found)


def _taught(advice: Advice, no_teacher: Finding, no_labels: Finding) -> list[Finding]:
    distilled = advice.distilled
    if distilled is None:
        if advice.judged is None:
            return [no_teacher, no_labels]
        why = "the large model's labels were too few, or all alike"
        return [untried("distil-black", why), untried("synthesis-labels", why)]
    one = distilled.candidate
    calls = int(one.details.get("teacher_calls", 0))
    what = f"the student learns people's labels and what the large model says of {calls:,} texts"
    found = [gained("distil-black", one, distilled.twin, what)]
    silver = f"a student of the large model's labels alone, {calls:,} of them"
    found.append(gained("synthesis-labels", distilled.silver, advice.small, silver))
    return found


def _clear(advice: Advice, by_key: dict[str, Candidate]) -> Finding:
    words = by_key.get("tfidf")
    if words is None:
        return untried(
            "explain", "no model of words alone was among the candidates; `pilotfish explain` reads the others"
        )
    if words is advice.small:
        return Finding(
            "explain", "tried", "the choice among small models goes by words whose weights can be read", words.key
        )
    return gained("explain", words, advice.small, "the price of a model of words whose weights can be read")


def _rest(advice: Advice, none: str) -> list[Finding]:
    task = advice.task
    each = len(task.train) / max(1, len(task.labels))
    rows = f"{each:.0f} rows a label to learn from"
    few = each < _ENOUGH
    labels = "an answer is one of the labels"
    local = advice.judged is not None and isinstance(advice.judged.labeller.model, LocalModel)
    return [
        untried("distil-white", "a student of labels learns probabilities, which the large model gave")
        if local
        else idle("distil-white", none if advice.judged is None else "the large model's weights are not here"),
        untried("synthesis-scratch", f"there are {rows}: `pilotfish synthesize` makes more")
        if few
        else idle("synthesis-scratch", f"there are {rows}"),
        untried("synthesis-augment", f"there are {rows}: `pilotfish synthesize` makes variants of rows"),
        idle("curate-pretraining", "nothing is pre-trained for this task"),
        idle("curate-instructions", "nothing is tuned by instructions"),
        untried("weak-to-strong", "the large model could learn the labels of several small ones: `pilotfish supervise`")
        if local
        else idle("weak-to-strong", "the large model's weights are not here to be trained"),
        idle("align", labels),
        untried("route", "the cascade goes by what the small model made of the text, which costs next to nothing")
        if advice.judged is not None
        else idle("route", none),
        idle("speculate", labels),
        idle("evaluate", "right labels are there: nobody is asked to judge"),
        idle("adapt-white", labels),
        idle("adapt-black", labels),
        idle("retrieve", "nothing is looked up to label a text"),
        idle("prompt-compress", "the texts fit the models whole"),
        idle("verify", labels),
        idle("contrast", labels),
        idle("plug-ins", labels),
        untried(
            "constrained",
            "weights, latency and energy stand in each candidate's row; `pilotfish fit` looks for precisions",
        ),
        idle("tables", "the rows are texts"),
        idle("phrases", "the texts are classified, not compared"),
        idle("entities", "nothing is linked"),
    ]
