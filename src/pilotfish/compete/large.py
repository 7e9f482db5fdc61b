"""The large model, zero-shot and few-shot, on as many held-out rows as the budget pays for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.compete.candidate import Candidate
from pilotfish.compete.memo import Memo
from pilotfish.compete.plan import MIN_TEST, PROBE, Sizes, afforded, extended, lanes, rate
from pilotfish.compete.purse import Purse, list_cost
from pilotfish.measure.meters import Meter, measure_latency
from pilotfish.model import Model
from pilotfish.models.classify import Labeller, Labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.compete.students import Student
    from pilotfish.compete.task import TextTask
    from pilotfish.compete.watch import Budget, Watch

MIN_ROOM = 64  # tokens that a prompt must leave for the text


@dataclass
class Judged:
    """The large model's better way of being asked (by rows kept back from training), and its answers.

    Attributes:
        zero: candidate, zero-shot.
        few: candidate, few-shot; None where the examples do not fit the model or the budget.
        best: the one of them that did better on rows kept back.
        labeller: asks in that way.
        calibrate: its answers for `task.calibrate[:n]`.
        taught: its answers for the first texts of the pool, for the small model to learn from.
        sizes: how many rows of each kind were answered.
    """

    zero: Candidate
    few: Candidate | None
    best: Candidate
    labeller: Labeller
    calibrate: Labels
    taught: Labels
    sizes: Sizes


def medoids(task: TextTask, student: Student, shots: int) -> list[tuple[str, str]]:
    """Return `shots` typical texts a label, nearest to the label's mean vector, interleaved by label.

    Only rows that are neither kept back nor held out can become examples.
    """
    picked: list[list[tuple[str, str]]] = []
    fit = task.fit
    labels = np.array([task.train_labels[i] for i in fit], dtype=object)
    for label in task.labels:
        rows = fit[np.flatnonzero(labels == label)]
        if not len(rows):
            continue
        vectors = np.asarray(student.train[rows])
        order = np.argsort(-(vectors @ vectors.mean(axis=0)), kind="stable")
        picked.append([(task.train[rows[i]], label) for i in order[:shots]])
    return [one[k] for k in range(shots) for one in picked if k < len(one)]


def judge(
    task: TextTask,
    model: Model,
    student: Student,
    watch: Watch,
    budget: Budget,
    memo: Memo,
    *,
    identity: str,
    sizes: Sizes,
    pool: Sequence[str],
    shots: int = 1,
    seed: int = 0,
) -> Judged | None:
    """Ask the large model, within what is left of the budget; None where that pays for too few rows to say anything.

    The test rows are a seeded sample where not all can be paid for; it is the same sample for every way of asking.

    Raises:
        ConfigError: the budget is in dollars and the model's price is not known; or it takes too few tokens for the
            list of labels.
        UpstreamError: the endpoint failed after its retries.
    """
    purse = Purse(model, budget)

    def ask(labeller: Labeller, texts: Sequence[str], what: str) -> Labels:
        with watch.phase(f"{model.name}{what}", len(texts)) as advance:
            return memo.predict(labeller, texts, identity, advance, purse)

    ways = _ways(task, model, student, shots, watch)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(task.test))
    probe = [task.train[i] for i in rng.permutation(task.fit)[:PROBE]]
    rates = [rate(ask(way.labeller, probe, f" {way.how}: how fast and how dear it is"), way.labeller) for way in ways]
    wanted = Sizes(
        min(sizes.test, len(task.test)),
        min(sizes.calibrate, len(task.calibrate)),
        min(sizes.unlabelled, len(pool)),
        min(sizes.ways, max(16, sizes.test)),
    )
    plan = afforded(wanted, rates, budget, watch)
    if plan is None:
        return None
    further: Sizes | None = plan
    asked: list[_Asked] = []
    while further is not None:
        plan = further
        asked = _round(task, ways, plan, order, seed=seed, least=min(MIN_TEST, wanted.test), ask=ask)
        if not asked:
            watch.say(f"the budget ran out before {model.name} had answered {MIN_TEST} held-out rows: it is left out")
            return None
        # A few rows may have told the wrong speed: where more can be afforded after all, more are asked about. What
        # was answered is kept, so a further round pays for its new rows only.
        rates = [rate(found, way.labeller) for way, found, _ in asked]
        further = extended(plan, wanted, rates, budget, watch) if len(asked) == len(ways) else None
    # One sample for all ways: where the budget ran out early, the rows that every way has answered.
    n = min(len(found.labels) for _, found, _ in asked)
    rows = order[:n]
    made = [_candidate(task, way, np.sort(rows), _reordered(found, np.argsort(rows)), at) for way, found, at in asked]
    best = max(range(len(made)), key=lambda i: (made[i].chosen_by, -i))
    labeller = asked[best][0].labeller
    # Only now that the way of asking is settled: rows asked in the other way would be paid for in vain.
    kept = [task.train[i] for i in task.calibrate[: plan.calibrate]]
    calibrate = ask(labeller, kept, ": rows for the threshold")
    taught = ask(labeller, pool[: plan.unlabelled], ": labels for the small model to learn from")
    _latency(made[best], labeller, task)
    return Judged(
        made[0],
        made[1] if len(made) > 1 else None,
        made[best],
        labeller,
        calibrate,
        taught,
        Sizes(n, len(calibrate.labels), len(taught.labels), plan.ways),
    )


@dataclass(frozen=True)
class _Way:
    """One way of asking: zero-shot or few-shot."""

    key: str
    how: str
    labeller: Labeller


Ask = Callable[[Labeller, Sequence[str], str], Labels]
# A way of asking, its answers on held-out rows, and its score on rows kept back.
_Asked = tuple[_Way, Labels, float]


def _round(
    task: TextTask,
    ways: Sequence[_Way],
    plan: Sizes,
    order: NDArray[np.int64],
    *,
    seed: int,
    least: int,
    ask: Ask,
) -> list[_Asked]:
    """Ask each way about the held-out rows of a plan; a way that the budget leaves with under `least` ends the list."""
    shuffled = np.random.default_rng([seed, 3]).permutation(task.fit)
    priors = [task.train[i] for i in shuffled[: plan.ways]]
    held = [task.test[i] for i in order[: plan.test]]
    choosing, truth = task.taken(task.calibrate[: plan.ways])
    asked: list[_Asked] = []
    for way in ways:
        if way.labeller.white_box:
            raw = ask(way.labeller, priors, f" {way.how}: its bias, from texts without labels").logprobs
            if raw is not None:
                way.labeller.fit_prior(raw)
        found = ask(way.labeller, held, f" {way.how}: held-out rows")
        if len(found.labels) < least:
            break
        there = ask(way.labeller, choosing, f" {way.how}: rows kept back").labels
        asked.append((way, found, _share_right(there, truth[: len(there)])))
    return asked


def _ways(task: TextTask, model: Model, student: Student, shots: int, watch: Watch) -> list[_Way]:
    """Return the ways of asking, few-shot only where the model has room for the examples and a text."""
    ways = [_Way("large-zero", "zero-shot", Labeller(model, task.labels, names=task.names, name=model.name))]
    examples = medoids(task, student, shots)
    few = Labeller(model, task.labels, names=task.names, examples=examples, name=model.name)
    if few.white_box:
        local: Any = model
        longest = max(local.count(name) for name in few.shown.values())
        if local.count(local.render(few.request(""))) + longest + MIN_ROOM > local.max_length:
            watch.say(f"{model.name} has no room for {len(examples)} examples: it is asked without examples only")
            return ways
    return [*ways, _Way("large-few", f"few-shot, {shots} a label", few)]


def _reordered(found: Labels, order: NDArray[np.int64]) -> Labels:
    return Labels(
        [found.labels[i] for i in order],
        None if found.logprobs is None else found.logprobs[order],
        [found.traces[i] for i in order],
        [found.truncated_rows[i] for i in order],
    )


def _candidate(task: TextTask, way: _Way, rows: NDArray[np.int64], found: Labels, score: float) -> Candidate:
    labeller = way.labeller
    # What an answer out of a cache costs and takes says nothing of what the next new one will.
    costs = [list_cost(trace, labeller.model) for trace in found.traces]
    known = [cost for cost in costs if cost is not None]
    fresh = [trace.seconds for trace in found.traces if not any(call.cached for call in trace.calls)]
    tokens = sum(trace.usage.tokens_in + trace.usage.tokens_out for trace in found.traces)
    unpriced = any(call.cost is None for trace in found.traces for call in trace.calls)
    alone = not labeller.white_box and bool(fresh)
    return Candidate(
        way.key,
        f"{labeller.name} {way.how}",
        "large",
        rows,
        found.labels,
        [task.test_labels[i] for i in rows],
        chosen_by=score,
        probabilities=None if found.logprobs is None else np.exp(found.logprobs),
        seconds=float(np.mean(fresh)) / lanes(labeller) if fresh else None,
        p50=float(np.quantile(fresh, 0.50)) if alone else None,
        p95=float(np.quantile(fresh, 0.95)) if alone else None,
        dollars=float(np.mean(known)) if known and not unpriced else None,
        weights=_weights(labeller.model),
        details={
            "labels_used": len(labeller.examples),
            "tokens_per_row": round(tokens / max(1, len(rows)), 1),
            "truncated": found.truncated,
            "how": "log-probability of each label" if labeller.white_box else "answer parsed",
            "bias_corrected": labeller.prior_ is not None,
        },
    )


def _weights(model: Model) -> int:
    from pilotfish.models.local import LocalModel

    if not isinstance(model, LocalModel):
        return 0  # elsewhere, or not known
    return sum(int(p.numel() * p.element_size()) for p in model.model.parameters())


def _latency(candidate: Candidate, labeller: Labeller, task: TextTask) -> None:
    """Time single rows of a model on this machine; a remote one's are in its traces already."""
    if not labeller.white_box:
        return
    texts = [task.test[i] for i in candidate.rows[:16]]
    with Meter() as meter:
        one = measure_latency(labeller.predict, texts, warmup=1, max_seconds=4.0)
    candidate.p50, candidate.p95 = one.p50, one.p95
    candidate.joules = meter.reading.energy.joules / (len(one.seconds) + 1)
    candidate.joules_kind = meter.reading.energy.kind


def _share_right(answers: Sequence[str | None], truth: Sequence[str]) -> float:
    return float(np.mean([a == b for a, b in zip(answers, truth, strict=True)])) if truth else 0.0
