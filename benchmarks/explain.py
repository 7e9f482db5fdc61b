"""Explanations: they add up, name what counts, stay; and what accuracy transparency costs.

Tables: adult, german, pima, wine, titanic, horse-colic (see `benchmarks.tables`), usual settings. Of trees, an additive
and a linear model: the largest gap between what columns add and what the model says, whether taking away what is said
to count first changes the answer sooner than at random (150 held-out rows, paired), and whether the order of what
counts stays over three seeds. What transparency costs: the boosted trees that are best in folds, less the additive
model, the linear one and the rule list, on all held-out rows, paired.

Texts: SST-2 and CR (customer reviews). MiniLM and a head is the opaque one; TF-IDF, a table of n-grams, and Aug-Linear
with MiniLM (10,000 n-grams) and SmolLM2-135M (3,000 words) at training time only can be read through; with all labels,
and with 32 a class (five draws, drawn again). Integrated gradients, attention roll-out and words left out are checked
by deletion on 60 held-out texts. `--quick` takes pima, and few texts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import Cases, estimated
from benchmarks.tables import Set, sets
from pilotfish.compete.explain import (
    aug_linear,
    explained,
    faithful,
    ngram_linear,
    prices,
    stability,
    toward,
)
from pilotfish.compete.explain.text import Attributed, Way, attributed, faithful_words, flipped, telling_words
from pilotfish.compete.tables.kinds import KINDS
from pilotfish.compete.tables.measured import MEASURES
from pilotfish.compete.tables.model import TableModel
from pilotfish.compete.tables.tune import tuned
from pilotfish.measure.intervals import drawn_again
from pilotfish.models.classify import EncoderFeatures, Remembered, SoftmaxHead, TextClassifier, TfidfFeatures
from pilotfish.models.encoder import Encoder
from pilotfish.models.reader import Reader
from pilotfish.rows.read import read
from pilotfish.rows.split import split

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "explain"
OPAQUE, CLEAR = ("histogram", "lightgbm", "xgboost"), ("additive", "linear", "rules")
LOOKED_AT, TEXTS, FEW, DRAWS, SEED = 150, 60, 32, 5, 5
NGRAMS, WORDS = 10_000, 3000  # in the tables; what is read by an encoder, and by a language model
SETS = {"sst2": ("stsa.binary.train", "stsa.binary.test"), "cr": ("custrev.all", None)}
WAYS: tuple[Way, ...] = ("gradients", "rollout", "occlusion")
Floats = NDArray[np.float64]


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return what explanations are worth, on tables and on texts."""
    if data is None:
        return {"name": "explain", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("explain", quick=quick)
    for one in sets(data, only="pima" if quick else None):
        cases.add(_kept(f"{one.name}{'-quick' if quick else ''}", partial(_table, one, quick)))
    for name in ["sst2"] if quick else list(SETS):
        cases.add(_kept(f"{name}{'-quick' if quick else ''}", partial(_texts, name, data, quick)))
    return {"name": "explain", "peer": "none: models are set beside one another", "cases": cases.found}


def _kept(name: str, make: Callable[[], Iterator[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the cases of a set, made once: a run that is killed goes on with the next set."""
    path = RUNS / f"{name}.json"
    if not path.exists():
        found = list(make())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found), encoding="utf-8")
    kept: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def _case(title: str, value: float, unit: str, count: int) -> dict[str, Any]:
    return {"case": title, "value": value, "unit": unit, "n": count}


def _table(one: Set, quick: bool) -> Iterator[dict[str, Any]]:
    task = one.task
    opaque = {name: tuned(KINDS[name], task, seconds=0, seed=SEED) for name in OPAQUE[: 1 if quick else None]}
    best = min(opaque, key=lambda name: opaque[name].loss)
    models = {best: TableModel.of(task, opaque[best].fitted)}
    for name in CLEAR:
        models[name] = _fitted(one, name, SEED)
    drawn = np.sort(np.random.default_rng(SEED).permutation(len(task.x_test))[:LOOKED_AT])
    x = task.x_test[drawn]
    others = task.x[np.random.default_rng(SEED).permutation(len(task.x))[:500]]
    for name in (best, "additive", "linear"):
        model = models[name]
        start = time.perf_counter()
        told = explained(model, x)
        seconds = time.perf_counter() - start
        yield _case(f"{one.name}, {name}: the largest gap of what columns add", told.residual, "log-odds", len(x))
        yield _case(f"{one.name}, {name}: rows explained a second", len(x) / seconds, "rows a second", len(x))
        predicted = model.inner.predict(x)
        said = predicted.argmax(axis=1) if predicted.ndim == 2 else np.zeros(len(x), np.int64)
        found = faithful(model.inner.predict, x, toward(told, said), others, seed=SEED)
        yield estimated(f"{one.name}, {name}: deletion, above random", found.deletion_gain, "area")
        yield estimated(f"{one.name}, {name}: insertion, above random", found.insertion_gain, "area")
        again = [told.importance(), *(explained(_fitted(one, name, seed), x).importance() for seed in (1, 2))]
        stays = stability(again)
        yield _case(f"{one.name}, {name}: rank agreement over three seeds", stays.correlation, "Spearman", 3)
    measure = MEASURES[task.kind][0]
    told_all = {name: model.inner.predict(task.x_test) for name, model in models.items()}
    clear = {name: told_all[name] for name in CLEAR}
    for price in prices(clear, {best: told_all[best]}, task.y_test, measure, seed=SEED):
        yield estimated(f"{one.name}, {price.name}: {measure}", price.own, measure)
        yield estimated(f"{one.name}: {best} above {price.name}, what transparency costs", price.paid, measure)
    yield estimated(f"{one.name}, {best}, the best trees in folds: {measure}", price.other, measure)


def _fitted(one: Set, name: str, seed: int) -> TableModel:
    task, kind = one.task, KINDS[name]
    return TableModel.of(task, kind.fit(task.x, task.y, task.categorical, task.kind, kind.usual, seed))


Split = tuple[list[str], list[str], list[str], list[str]]


def _read(name: str, data: Path, quick: bool) -> Split:
    """Return training texts and labels, and held-out ones; of a set without a test part a fifth is held out."""
    train, test = SETS[name]
    rows = [list(read(data / "sent_conv" / file, format="labelled-lines")) for file in (train, test) if file]
    if test is None:
        known: dict[str, Any] = {row["text"]: row for row in rows[0]}  # copies of a text stand once
        some = list(known.values())
        parts = split(len(some), {"train": 0.8, "test": 0.2}, SEED, stratify=[row["label"] for row in some])
        rows = [[some[i] for i in parts["train"]], [some[i] for i in parts["test"]]]
    learn, held = rows
    if quick:
        learn, held = learn[:200], held[:100]
    return (
        [row["text"] for row in learn],
        [str(row["label"]) for row in learn],
        [row["text"] for row in held],
        [str(row["label"]) for row in held],
    )


def _texts(name: str, data: Path, quick: bool) -> Iterator[dict[str, Any]]:
    train, labels, test, truth = _read(name, data, quick)
    encoder = Encoder("all-minilm-l6-v2")
    known = Remembered(EncoderFeatures(encoder))  # each n-gram is read once, however often a table is taught
    makers: dict[str, Callable[[list[str], list[str]], TextClassifier]] = {
        "MiniLM and a head": lambda a, b: _headed(EncoderFeatures(encoder), a, b),
        "TF-IDF": lambda a, b: _headed(TfidfFeatures(), a, b),
        "n-grams": lambda a, b: ngram_linear(a, b, seed=SEED).classifier,
        # The n-grams of all training texts are in the table, of which only some have a label.
        "Aug-Linear, MiniLM": lambda a, b: aug_linear(a, b, known, most=NGRAMS, also=train, seed=SEED).classifier,
    }
    if not quick:
        reader = Remembered(EncoderFeatures(Reader("smollm2-135m-instruct")))
        makers["Aug-Linear, SmolLM2-135M"] = lambda a, b: (
            aug_linear(a, b, reader, ngrams=(1, 1), most=WORDS, also=train, seed=SEED).classifier
        )
    made = {title: make(train, labels) for title, make in makers.items()}
    yield from _priced(f"{name}, {len(train)} labels", made, test, truth)
    if not quick:
        yield from _few(name, makers, (train, labels, test, truth))
    yield from _checked(name, made["MiniLM and a head"], test[: 8 if quick else TEXTS], WAYS, train)
    yield from _checked(name, made["Aug-Linear, MiniLM"], test[: 8 if quick else TEXTS], ("exact",), train)


def _headed(features: Any, texts: Sequence[str], labels: Sequence[str]) -> TextClassifier:
    return TextClassifier(features, SoftmaxHead(10.0)).fit(texts, labels)


def _codes(classifier: TextClassifier, truth: Sequence[str]) -> Floats:
    return np.array([classifier.classes_.index(label) for label in truth], np.float64)


def _priced(
    title: str, made: dict[str, TextClassifier], test: Sequence[str], truth: Sequence[str]
) -> Iterator[dict[str, Any]]:
    told = {name: np.asarray(one.predict_proba(test), np.float64) for name, one in made.items()}
    opaque = {"MiniLM and a head": told.pop("MiniLM and a head")}
    y = _codes(made["TF-IDF"], truth)
    for price in prices(told, opaque, y, "accuracy", seed=SEED):
        yield estimated(f"{title}, {price.name}: accuracy", price.own, "accuracy")
        yield estimated(f"{title}: MiniLM above {price.name}, what transparency costs", price.paid, "accuracy")
    yield estimated(f"{title}, MiniLM and a head: accuracy", price.other, "accuracy")


def _few(name: str, makers: dict[str, Any], parts: Split) -> Iterator[dict[str, Any]]:
    """Yield what is learnt from a few labels of each class: draws and rows drawn again."""
    train, labels, test, truth = parts
    classes = sorted(set(labels))
    right: dict[str, list[Floats]] = {title: [] for title in makers}
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        some = [i for c in classes for i in rng.permutation([j for j, own in enumerate(labels) if own == c])[:FEW]]
        for title, make in makers.items():
            model = make([train[i] for i in some], [labels[i] for i in some])
            told = np.asarray(model.predict_proba(test), np.float64)
            right[title].append((told.argmax(axis=1) == _codes(model, truth)).astype(np.float64))
    base = np.stack(right["MiniLM and a head"])
    for title, found in right.items():
        own = np.stack(found)  # (draws, rows)
        yield estimated(f"{name}, {FEW} labels a class, {title}: accuracy", drawn_again(own, _mean), "accuracy")
        if title != "MiniLM and a head":
            case = f"{name}, {FEW} labels a class: MiniLM above {title}, what transparency costs"
            yield estimated(case, drawn_again(base - own, _mean), "accuracy")


def _mean(table: NDArray[Any]) -> float:
    return float(table.mean())


def _checked(
    name: str, reads: TextClassifier, texts: Sequence[str], ways: Sequence[Way], known: Sequence[str]
) -> Iterator[dict[str, Any]]:
    title = f"{name}, {'MiniLM and a head' if 'gradients' in ways else 'Aug-Linear'}"
    told: list[Attributed] = []
    for way in ways:
        start = time.perf_counter()
        own = attributed(reads, texts, way)
        seconds = (time.perf_counter() - start) / len(texts)
        found = faithful_words(reads, own, seed=SEED)
        yield estimated(f"{title}, {way}: deletion, above random", found.deletion_gain, "area")
        yield estimated(f"{title}, {way}: insertion, above random", found.insertion_gain, "area")
        yield _case(f"{title}, {way}: a text", seconds, "seconds", len(texts))
        gaps = [one.residual for one in own if one.residual is not None]
        if gaps:
            yield _case(f"{title}, {way}: the largest gap of what words add", max(gaps), "log-odds", len(texts))
        told = told or own
    telling = telling_words(reads, known[:1000])
    some = told[:20]
    flips = [
        flipped(reads, one.text, words=[word for label, own in telling.items() if label != one.label for word in own])
        for one in some
    ]
    sizes = [len(one.edits) for one in flips if one.found]
    yield _case(f"{title}: texts that a change of at most five words flips", len(sizes) / len(some), "share", len(some))
    if sizes:
        yield _case(f"{title}: words of the smallest change, mean", float(np.mean(sizes)), "words", len(sizes))
