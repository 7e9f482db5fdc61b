"""What an advice on answers found of every leaf of the survey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.compete.advisor.leaves import Finding, accounted, gained, idle, untried
from pilotfish.compete.candidate import Candidate, common_rows
from pilotfish.compete.graded import Graded

if TYPE_CHECKING:
    from pilotfish.compete.advisor.race import Lane, Race
    from pilotfish.compete.advisor.task import AnswerTask
    from pilotfish.compete.advisor.ways import Facts

__all__ = ["findings_of"]


def findings_of(
    task: AnswerTask,
    facts: Facts,
    race: Race,
    candidates: Sequence[Candidate],
    tried: Mapping[str, str],
) -> tuple[Finding, ...]:
    """Return what was found of each leaf.

    A way that was measured on held-out rows is compared there, any other on the rows to choose by that it answered.

    Args:
        task: what was asked.
        facts: of models and rows.
        race: every way, and how far it came.
        candidates: those that were measured on held-out rows.
        tried: why the cascade, or the route, was not made.
    """
    by_key = {one.key: one for one in candidates}
    found = [_of_lane(lane, race, by_key) for lane in race.lanes.values() if lane.way.leaf]
    for leaf in ("cascade", "route"):
        if leaf in by_key:
            one = by_key[leaf]
            base = by_key[str(one.details["of"][1])]
            share = float(one.details["deferred"])
            what = f"by {one.details['by']}, {share:.0%} of the rows go to {base.title}"
            found.append(gained(leaf, one, base, what))
    found += _others(task, facts, tried)
    return accounted(found)


def _of_lane(lane: Lane, race: Race, by_key: Mapping[str, Candidate]) -> Finding:
    way = lane.way
    base = race.lanes.get(way.base)
    if lane.answers is None or base is None or base.answers is None:
        return untried(way.leaf, f"{way.title}: {lane.out or 'its rival was not measured'}")
    if way.key in by_key and way.base in by_key and len(common_rows([by_key[way.key], by_key[way.base]])):
        return gained(way.leaf, by_key[way.key], by_key[way.base], f"{way.title}: {way.what}")
    rows = len(np.intersect1d(lane.answers.rows, base.answers.rows))
    where = f" (on {rows} rows to choose by{'; ' + lane.out if lane.out else ''})"
    return gained(way.leaf, _graded(lane), _graded(base), f"{way.title}: {way.what}{where}")


def _graded(lane: Lane) -> Graded:
    assert lane.answers is not None and lane.desk is not None
    known = bool(np.isfinite(lane.answers.dollars).all())
    return Graded(
        lane.way.key,
        lane.way.title,
        lane.way.family,
        lane.answers.rows,
        lane.answers.said,
        [""] * len(lane.answers.said),
        seconds=lane.desk.seconds,
        dollars=float(lane.answers.dollars.mean()) if known else None,
        scores=lane.answers.marks,
    )


def _others(task: AnswerTask, facts: Facts, tried: Mapping[str, str]) -> list[Finding]:
    """Return a finding of every leaf, for those of which no way stood: it takes the place of none that was tried."""
    large, causal = facts.large is not None, facts.causal
    none = "there is no large model"
    here = {facts.small, facts.large} <= facts.local
    free = "the answers are free text"
    return [
        (
            idle("distil-black", none)
            if not large
            else untried("distil-black", "the small model cannot be trained here")
        ),
        _white(facts),
        (
            idle("synthesis-scratch", f"there are {len(task.train):,} rows to learn from")
            if len(task.train) >= 50
            else untried(
                "synthesis-scratch", f"only {len(task.train)} rows to learn from: `pilotfish synthesize` makes more"
            )
        ),
        untried("synthesis-labels", "no rows without answers were given; the large model could answer them"),
        untried(
            "synthesis-augment",
            "`pilotfish synthesize` makes variants of rows; the fine-tuned model learns from the rows there are",
        ),
        idle("curate-pretraining", "nothing is pre-trained for this task"),
        (
            untried("curate-instructions", f"{len(task.train):,} training rows are few enough to learn from all")
            if causal
            else idle("curate-instructions", "nothing is fine-tuned here")
        ),
        _strong(facts),
        untried("align", "it takes a reward, or a corrector, taught on graded answers: `pilotfish supervise`")
        if large or causal
        else idle("align", "neither model's weights are here"),
        *(
            untried(leaf, tried.get(leaf, "one of the two models was not measured to its end"))
            if large
            else idle(leaf, none)
            for leaf in ("cascade", "route")
        ),
        idle("speculate", none)
        if not large
        else idle("speculate", "the large model is served by others: its decoding is theirs"),
        _evaluate(task),
        idle("adapt-white", none if not large else "both models' weights with the same tokens are needed")
        if not (here and facts.same_vocabulary)
        else untried("adapt-white", "the small model cannot be trained here"),
        untried(
            "adapt-black",
            "a small model taught the documents could write what it knows before a question: `pilotfish adapt`",
        )
        if facts.documents
        else idle("adapt-black", "there are no texts of a domain to teach a small model"),
        idle("retrieve", "there are no documents to look things up in"),
        untried("prompt-enhance", "fewer than 8 training rows have a right answer to show"),
        idle(
            "prompt-compress", f"prompts have {facts.prompt_tokens} tokens in the median: there is little to leave out"
        )
        if large
        else idle("prompt-compress", none),
        untried("verify", "no check that needs no right answer fits these: `pilotfish verify` teaches a verifier")
        if large
        else idle("verify", "there is no other model to fall back on"),
        idle("contrast", none if not large else "both models' weights with the same tokens are needed"),
        idle("plug-ins", "no plug-in fits answers that stand in documents; `pilotfish repair` teaches a detector"),
        untried(
            "constrained",
            "weights, latency and energy stand in each candidate's row; `pilotfish fit` looks for precisions",
        ),
        idle("text", free),
        idle("tables", free),
        idle("phrases", free),
        idle("entities", free)
        if not task.fields
        else untried(
            "entities",
            "too few rows have values to teach a tagger; `pilotfish entities` links names to a knowledge base",
        ),
        idle("explain", "models that write text have no shape to read; what each answer took stands in its trace"),
    ]


def _white(facts: Facts) -> Finding:
    if facts.large is None or facts.large not in facts.local:
        return idle("distil-white", "the large model's weights are not here")
    return untried("distil-white", "the large model's logits could teach, beyond its answers: `pilotfish distill`")


def _strong(facts: Facts) -> Finding:
    if facts.large is None or facts.large not in facts.local:
        return idle("weak-to-strong", "the large model's weights are not here to be trained")
    return untried("weak-to-strong", "it is for labels; answers in free text are not combined from several weak ones")


def _evaluate(task: AnswerTask) -> Finding:
    if task.gold is None and not task.fields:
        return untried("evaluate", "`pilotfish judge` teaches a small judge that costs less than the large one")
    return idle("evaluate", "right answers are there: nobody is asked to judge")
