"""The large model, zero-shot and few-shot, on as many held-out rows as the budget pays for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.compete.candidate import Candidate
from pilotfish.compete.memo import Memo
from pilotfish.measure.meters import Meter, measure_latency
from pilotfish.model import Model
from pilotfish.models.classify import Labeller, Labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.compete.students import Student
    from pilotfish.compete.task import TextTask
    from pilotfish.compete.watch import Budget, Watch

PROBE = 16  # rows that tell how fast and how dear the model is
MIN_TEST = 30  # fewer held-out rows than this say nothing


@dataclass(frozen=True)
class Sizes:
    """How many rows the large model is asked about: held out, for the threshold, and to teach a small model."""

    test: int
    calibrate: int
    unlabelled: int


@dataclass
class Judged:
    """The large model's better way of being asked (by rows kept back from training), and its answers.

    Attributes:
        zero: candidate, zero-shot.
        few: candidate, few-shot; None where no examples fit.
        best: the one of them that did better on rows kept back.
        labeller: asks in that way.
        calibrate: its answers for `task.calibrate[:n]`.
        taught: its answers for the first texts of the pool, for the small model to learn from.
        sizes: how many rows were paid for.
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
    """
    zero = Labeller(model, task.labels, names=task.names, name=model.name)
    few = Labeller(model, task.labels, names=task.names, examples=medoids(task, student, shots), name=model.name)
    rng = np.random.default_rng(seed)
    test = rng.permutation(len(task.test))
    probe = [task.train[i] for i in task.fit[:PROBE]]
    with watch.phase(f"timing {model.name}", 2 * len(probe)) as advance:
        rates = [_rate(labeller, probe, memo, identity, advance, budget) for labeller in (zero, few)]
    wanted = Sizes(
        min(sizes.test, len(task.test)), min(sizes.calibrate, len(task.calibrate)), min(sizes.unlabelled, len(pool))
    )
    afforded = _afforded(wanted, rates, budget, watch)
    if afforded is None:
        return None
    sizes = afforded
    priors = [task.train[i] for i in rng.permutation(task.fit)[:64]] if zero.white_box else []
    ways: list[Candidate] = []
    kept = task.calibrate[: sizes.calibrate]
    for labeller, key, how in ((zero, "large-zero", "zero-shot"), (few, "large-few", f"few-shot, {shots} a label")):
        if labeller.white_box and priors:
            with watch.phase(f"{model.name} {how}: its bias, from unlabelled texts", len(priors)) as advance:
                raw = memo.predict(labeller, priors, identity, advance).logprobs
                assert raw is not None
                labeller.fit_prior(raw)
        with watch.phase(f"{model.name} {how}: held-out rows", sizes.test) as advance:
            rows = np.sort(test[: sizes.test])
            found = memo.predict(labeller, [task.test[i] for i in rows], identity, advance)
        with watch.phase(f"{model.name} {how}: rows kept back", min(len(kept), 64)) as advance:
            part = kept[:64]
            there = memo.predict(labeller, [task.train[i] for i in part], identity, advance)
        score = _share_right(there.labels, [task.train_labels[i] for i in part])
        ways.append(_candidate(task, labeller, key, how, rows, found, score))
    best = max(range(len(ways)), key=lambda i: (ways[i].chosen_by, -i))
    labeller = (zero, few)[best]
    with watch.phase(f"{model.name}: rows for the threshold", len(kept)) as advance:
        calibrate = memo.predict(labeller, [task.train[i] for i in kept], identity, advance)
    with watch.phase(f"{model.name}: labels for the small model to learn from", sizes.unlabelled) as advance:
        taught = memo.predict(labeller, pool[: sizes.unlabelled], identity, advance)
    _latency(ways[best], labeller, task)
    budget.spent += sum(way.dollars or 0.0 for way in ways) * sizes.test
    budget.spent += sum(trace.cost or 0.0 for answers in (calibrate, taught) for trace in answers.traces)
    return Judged(ways[0], ways[1], ways[best], labeller, calibrate, taught, sizes)


def _rate(
    labeller: Labeller, probe: Sequence[str], memo: Memo, identity: str, advance: object, budget: Budget
) -> tuple[float, float]:
    """Return seconds and dollars a row, from the model's own traces (so a resumed run plans as the first one did)."""
    found = memo.predict(labeller, probe, identity, advance)  # type: ignore[arg-type]
    seconds = sum(trace.seconds for trace in found.traces) / max(1, len(probe))
    if not labeller.white_box:
        seconds /= labeller.concurrency
    dollars = sum(trace.cost or 0.0 for trace in found.traces)
    budget.spent += dollars
    return seconds, dollars / max(1, len(probe))


def _afforded(wanted: Sizes, rates: Sequence[tuple[float, float]], budget: Budget, watch: Watch) -> Sizes | None:
    """Cut the sizes down to what the budget pays for, keeping a little time back for what follows; None: too few."""
    seconds = sum(rate for rate, _ in rates)
    dollars = sum(rate for _, rate in rates)
    dearest = max(rate for rate, _ in rates), max(rate for _, rate in rates)
    # Both ways of asking see the test rows and 64 rows of each kind; the better one sees the rest.
    need_s = (wanted.test + 128) * seconds + (wanted.calibrate + wanted.unlabelled) * dearest[0]
    need_d = (wanted.test + 128) * dollars + (wanted.calibrate + wanted.unlabelled) * dearest[1]
    share = min(
        1.0,
        0.8 * budget.seconds_left() / need_s if need_s else 1.0,
        budget.dollars_left() / need_d if need_d else 1.0,
    )
    if share < 1.0:
        cut = Sizes(int(wanted.test * share), int(wanted.calibrate * share), int(wanted.unlabelled * share))
        if cut.test < min(MIN_TEST, wanted.test):
            watch.say(
                f"the budget pays for {cut.test} held-out rows of the large model ({seconds / 2:.2g} s and "
                f"${dollars / 2:.2g} a row), where {MIN_TEST} is the least that says anything: it is left out"
            )
            return None
        watch.say(f"the budget pays for {cut.test:,} of {wanted.test:,} held-out rows of the large model")
        return cut
    return wanted


def _candidate(
    task: TextTask, labeller: Labeller, key: str, how: str, rows: NDArray[np.int64], found: Labels, score: float
) -> Candidate:
    costs = [trace.cost for trace in found.traces]
    known = [cost for cost in costs if cost is not None]
    probabilities = None if found.logprobs is None else np.exp(found.logprobs)
    tokens = sum(trace.usage.tokens_in + trace.usage.tokens_out for trace in found.traces)
    seconds = sum(trace.seconds for trace in found.traces) / max(1, len(rows))
    return Candidate(
        key,
        f"{labeller.name} {how}",
        "large",
        rows,
        found.labels,
        [task.test_labels[i] for i in rows],
        chosen_by=score,
        probabilities=probabilities,
        seconds=seconds / (1 if labeller.white_box else labeller.concurrency),
        dollars=sum(known) / max(1, len(rows)) if len(known) == len(costs) else None,
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
        return 0
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
