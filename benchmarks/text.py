"""Text classifiers by labels a class, against a language model; what is out of scope; several labels a text.

banking77 (77 intents), TREC (6 types of question), SST-2, CR (sentiment) and Subj: 8, 32 and 128 labels a class and all
of them, five draws (of encoders that are trained two at 128 labels a class and one of all), tests of up to 1,000 rows.
MiniLM: a linear head on its vectors, on static ones; contrastive few-shot, adapters, all weights; TF-IDF; a bag
of hashed n-grams; a student distilled of 8 or 32 labels a class and the large model's of 100 rows. Without labels the
names of the labels stand in. Qwen2.5-Coder-1.5B (int8) reads 100 drawn test rows, zero-shot and with one example a
label; n* is from how many labels a class a small one is above its few-shot. Intervals draw seeds and rows again.

Out of scope: a quarter of banking77's intents is away, in five draws; four scores on two classifiers. Several labels:
messages of banking77 joined (`benchmarks._text_sets.several`). SetFit 1.2.0 has the same rows, seeds and number of
texts to read; fastText 0.9.2 the same rows. What was learnt and said is kept (`.bench/text`), a killed run goes on.
PILOTFISH_BENCH_SECONDS bounds the time: what it leaves out is named, and a later run does it. `--quick` takes the
embedded support messages and no large model.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import Cases, estimated
from benchmarks._text_bench import HOME, LARGE, SEEDS, TITLES, Bench, Right, Told, amount, mean
from benchmarks._text_more import outside, several
from benchmarks._text_peers import peers
from benchmarks._text_sets import Set, sets
from pilotfish.compete.classify import student_of
from pilotfish.compete.curve import Curve, crossover
from pilotfish.distill.blackbox.students import LinearStudent, TeacherLabels
from pilotfish.measure.intervals import Interval, drawn_again, wilson
from pilotfish.models.classify import Labeller

RUNS = HOME / "text"
COUNTS: tuple[int | None, ...] = (8, 32, 128, None)
ASKED, POOL = 100, 100
LINEAR = ("tfidf", "encoder", "static")  # with all labels nothing in them is random
CHEAP, TRAINED = (*LINEAR, "bag"), ("contrastive", "lora", "tuned")


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return what each classifier is worth."""
    whole = data is not None and not quick
    bench = Bench(RUNS / ("whole" if whole else "quick"))
    cases = Cases("text", quick=quick)
    counts, seeds = (COUNTS, SEEDS) if whole else (COUNTS[:1], SEEDS[:1])
    found = list(sets(data if whole else None))
    told: dict[str, Told] = {one.name: {} for one in found}
    # Few labels before many, of all sets: a run that is cut short has them.
    for count in counts:
        for kind in (*CHEAP, *TRAINED):
            for one in found:
                told[one.name] |= _kind(bench, one, kind, (count,), seeds)
        for one in found if whole and count == counts[0] else []:
            list(_large(bench, one, {}))  # asked before anything takes long
    for one in found if whole else []:
        told[one.name] |= _kind(bench, one, "distilled", (8, 32), seeds)
    for one in found:
        cases.add(_of_set(bench, one, told[one.name], large=whole))
    cases.add(outside(bench, found[0], seeds, whole=whole))
    cases.add(several(bench, found[0], whole=whole))
    for one in found if whole else []:
        cases.add(peers(bench, one, told[one.name]))
    result: dict[str, Any] = {"name": "text", "cases": cases.found}
    result["peer"] = "SetFit 1.2.0 and fastText 0.9.2 where their environments are there"
    return {**result, **({"left_out": bench.left_out} if bench.left_out else {})}


def _kind(bench: Bench, one: Set, kind: str, counts: Sequence[int | None], seeds: Sequence[int]) -> Told:
    """Return (kind, labels a class) -> (seeds, rows) 1 where right, of as many seeds as there was time for."""
    truth = [label for _, label in one.test]
    sizes = [sum(label == name for _, label in one.train) for name in one.labels]
    found = {}
    for count in counts:
        if count is not None and count > np.median(sizes):
            continue  # most labels have fewer rows: it would be all of them
        some = seeds[: _draws(kind, count)]
        rows = []
        for seed in some:
            name = f"{one.name}/{kind}-{'all' if count is None else count}-{seed}"
            said = bench.kept(name, partial(_said, bench, one, kind, count, seed))
            if said is not None:
                rows.append([a == b for a, b in zip(said["said"], truth, strict=True)])
        if rows:
            found[kind, count] = np.array(rows, np.float64)
    return found


def _draws(kind: str, count: int | None) -> int:
    """Return how many seeds a kind has: of all labels nothing in a linear one is random, and an encoder takes long."""
    if kind in TRAINED and count == 128:
        return 2
    return 1 if count is None and kind in (*TRAINED, *LINEAR) else len(SEEDS)


def _said(bench: Bench, one: Set, kind: str, count: int | None, seed: int) -> dict[str, Any]:
    """Teach a classifier; return what it says of the test rows, and the seconds that teaching took."""
    drawn = one.drawn(count, seed)
    texts, labels = [text for text, _ in drawn], [label for _, label in drawn]
    tests = [text for text, _ in one.test]
    if kind in ("encoder", "distilled"):
        bench.vectors.transform([*texts, *tests])  # read once for all draws; its time is in no one's
    started = time.perf_counter()
    if kind == "distilled":
        pool, said = _pool(bench, one)
        silent = np.full((len(texts), len(one.labels)), np.nan)
        known = set(texts)
        more = [i for i, text in enumerate(pool) if text not in known]
        labeller = Labeller(bench.large, one.labels, names=one.names).fit_prior(said)
        shares = np.exp(labeller.corrected(said))
        beside = TeacherLabels(tuple(one.labels), np.concatenate([silent, shares[more]]))
        student: Any = LinearStudent(bench.vectors, held_out=0.0, seed=seed)
        student.fit([*texts, *(pool[i] for i in more)], [*labels, *[None] * len(more)], beside)
    elif kind == "encoder":
        student = LinearStudent(bench.vectors, alpha=1.0, held_out=0.0).fit(texts, labels)
    else:
        student = student_of(kind, bench.encoder, seed=seed).fit(texts, labels)
    seconds = time.perf_counter() - started
    return {"said": student.predict(tests), "seconds": seconds, "rows": len(texts)}


def _pool(bench: Bench, one: Set) -> tuple[list[str], NDArray[np.float64]]:
    """Return training texts and the large model's log-probabilities of their labels, zero-shot; asked once."""
    order = np.random.default_rng(77).permutation(len(one.train))[:POOL]
    texts = [one.train[i][0] for i in order]

    def asked() -> list[list[float]]:
        found = Labeller(bench.large, one.labels, names=one.names).predict(texts).logprobs
        assert found is not None
        return [[float(p) for p in row] for row in found]

    until, bench.until = bench.until, float("inf")  # who asks for it has been let in
    said = bench.kept(f"{one.name}/pool", asked)
    bench.until = until
    return texts, np.array(said)


def _of_set(bench: Bench, one: Set, told: Told, *, large: bool) -> Iterator[dict[str, Any]]:
    truth = [label for _, label in one.test]
    names = bench.kept(f"{one.name}/names", lambda: _by_names(bench, one))
    if names is not None:
        right = [a == b for a, b in zip(names, truth, strict=True)]
        yield estimated(
            f"{one.name}, MiniLM by the labels' names, 0 labels", wilson(sum(right), len(right)), "accuracy"
        )
    for (kind, count), right_of in told.items():
        yield {
            **estimated(f"{one.name}, {TITLES[kind]}, {amount(count)}", mean(right_of), "accuracy"),
            "seeds": len(right_of),
        }
    for (kind, count), right_of in told.items():
        base = told.get(("encoder", count))
        if kind == "contrastive" and count is not None and base is not None:
            gap = drawn_again(right_of - base[: len(right_of)], lambda table: float(table.mean()))
            title = f"{one.name}, contrastive above the plain head, {amount(count)}"
            yield estimated(title, gap, "difference of accuracy")
    if large:
        yield from _large(bench, one, told)


def _by_names(bench: Bench, one: Set) -> list[str]:
    names = bench.encoder.encode([one.names[label] for label in one.labels])
    vectors = bench.vectors.transform([text for text, _ in one.test])
    return [one.labels[int(i)] for i in (vectors @ names.T).argmax(axis=1)]


def _large(bench: Bench, one: Set, told: Told) -> Iterator[dict[str, Any]]:
    """Yield the language model's accuracy on a sample, and from how many labels the small ones are above it."""
    drawn = np.sort(np.random.default_rng(5).permutation(len(one.test))[:ASKED])
    texts, truth = [one.test[i][0] for i in drawn], [one.test[i][1] for i in drawn]
    right: dict[str, Right] = {}
    for way in ("zero-shot", "few-shot"):

        def asked(way: str = way) -> dict[str, Any]:
            examples = one.drawn(1, 0) if way == "few-shot" else ()
            labeller = Labeller(bench.large, one.labels, names=one.names, examples=examples)
            others, logprobs = _pool(bench, one)
            if way == "few-shot":
                labeller.calibrate(others[:32])
            else:
                labeller.fit_prior(logprobs)
            started = time.perf_counter()
            said = labeller.predict(texts).labels
            return {"said": said, "seconds": (time.perf_counter() - started) / len(texts)}

        held = bench.kept(f"{one.name}/{LARGE}-{way}", asked)
        if held is None:
            continue
        right[way] = np.array([a == b for a, b in zip(held["said"], truth, strict=True)], np.float64)
        found = wilson(float(right[way].sum()), len(truth))
        yield {**estimated(f"{one.name}, {LARGE}, {way}", found, "accuracy"), "seconds a row": held["seconds"]}
    if "few-shot" not in right:
        return
    for kind in ("tuned", "lora", "contrastive", "encoder"):
        curve = Curve(kind, TITLES[kind])
        for count in COUNTS:
            if (kind, count) in told:
                everything = len(one.train) / len(one.labels)
                curve.counts.append(everything if count is None else float(count))
                curve.correct.append(told[kind, count].mean(axis=0))
                curve.seeds.append(len(told[kind, count]))
        if len(curve.counts) > 1:
            at = crossover(curve, right["few-shot"], drawn)
            # More than there are is no number; the end of the curve stands in, and `reached` tells.
            least, low, high = (min(value, curve.counts[-1]) for value in (at.labels, at.low, at.high))
            title = f"{one.name}, n*: labels a class from which {TITLES[kind]} is above {LARGE} few-shot"
            case = estimated(title, Interval(least, low, high, 0.95, "bootstrap", len(drawn)), "labels a class")
            yield {**case, "reached": at.reached, "from the first count": at.from_the_start}
