"""Parts of the text benchmark: what is out of scope, and several labels a text."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks._result import estimated
from benchmarks._text_bench import TITLES, Bench
from benchmarks._text_sets import Set, joined, parted_by_label
from pilotfish.compete.classify import student_of
from pilotfish.compete.classify_several import several_task, teach_several
from pilotfish.measure.intervals import Interval
from pilotfish.measure.outside import scope_scores
from pilotfish.models.classify import Remembered, Scope, SoftmaxHead
from pilotfish.models.classify.scope import Way

AWAY = 0.25
WAYS: tuple[Way, ...] = ("probability", "energy", "mahalanobis", "neighbours")


def outside(bench: Bench, one: Set, seeds: Sequence[int], *, whole: bool) -> Iterator[dict[str, Any]]:
    """Yield how well each score tells intents that were held out, and what a threshold for a recall of .95 does.

    The fine-tuned encoder is taught in the first draw alone.
    """
    tables: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for kind in ("encoder", "tuned") if whole else ("encoder",):
        for seed in seeds if kind == "encoder" else seeds[:1]:

            def made(kind: str = kind, seed: int = seed) -> dict[str, Any]:
                return _scopes(bench, one, kind, seed)

            held = bench.kept(f"{one.name}/outside-{kind}-{seed}", made)
            for way in WAYS if held is not None else ():
                tables.setdefault((kind, way), []).append(held[way])
    for (kind, how), each in tables.items():
        title = f"{one.name}, out of scope, {TITLES[kind]}, {how}"
        judged = [scope_scores(run["scores"], run["inside"], run["threshold"], resamples=500) for run in each]
        for name in ("auroc", "fpr95", "kept", "caught"):
            values = np.array([getattr(run, name).value for run in judged])
            ends = [[getattr(run, name).low for run in judged], [getattr(run, name).high for run in judged]]
            # Draws of the intents differ by more than rows do: the widest of both.
            low, high = min(values.min(), float(np.mean(ends[0]))), max(values.max(), float(np.mean(ends[1])))
            span = Interval(float(values.mean()), float(low), float(high), 0.95, "over draws of intents", len(values))
            yield {**estimated(f"{title}: {name}", span, name), "n": sum(len(run["scores"]) for run in each)}


def _scopes(bench: Bench, one: Set, kind: str, seed: int) -> dict[str, Any]:
    part, others = parted_by_label(one, AWAY, seed)
    order = np.random.default_rng(seed).permutation(len(part.train))
    kept = [part.train[i] for i in order[: len(order) // 10]]
    learnt = [part.train[i] for i in order[len(order) // 10 :]]
    texts, labels = [text for text, _ in learnt], [label for _, label in learnt]
    tests = [text for text, _ in part.test] + others
    if kind == "encoder":
        features: Any = bench.vectors
        head = SoftmaxHead().fit(features.transform(texts), labels)
    else:
        student = student_of(kind, bench.encoder, seed=seed).fit(texts, labels)
        features, head = Remembered(student.classifier.features), student.classifier.head
    inside = [True] * len(part.test) + [False] * len(others)
    found: dict[str, Any] = {}
    for way in WAYS:
        scope = Scope(way).fit(features.transform(texts), labels)
        scope.calibrate(scope.scores(features.transform([text for text, _ in kept]), head))
        scores = scope.scores(features.transform(tests), head)
        found[way] = {"scores": scores.tolist(), "inside": inside, "threshold": scope.threshold_}
    return found


def several(bench: Bench, one: Set, *, whole: bool) -> Iterator[dict[str, Any]]:
    """Yield how well sets of labels are found, of messages that were joined."""
    rows = joined(one, 4000 if whole else 300, 1000 if whole else 100)
    for kind in ("tfidf", "encoder", "tuned") if whole else ("tfidf", "encoder"):

        def made(kind: str = kind) -> dict[str, Any]:
            task = several_task(rows["train"], text="text", label="labels", test=rows["test"], seed=0)
            started = time.perf_counter()
            told = teach_several(task, kind, None if kind == "tfidf" else bench.encoder)
            return {**told.to_json(), "seconds": time.perf_counter() - started}

        held = bench.kept(f"{one.name}/several-{kind}", made)
        for name in ("micro", "macro", "exact") if held is not None else ():
            title = f"{one.name}, several labels, {TITLES[kind]}: {name}"
            yield estimated(title, Interval(**held[name]), "F1" if name != "exact" else "share of rows")
