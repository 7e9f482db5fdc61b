"""What small models add to a prompt: their labels in it (SuperICL), and the demonstrations that they choose.

SST-2 (sentiment) and TREC (6 types of question), a sample of the official test parts. First: a classifier (TF-IDF, or
MiniLM's vectors, and a linear head) is taught 200 training rows; Qwen2.5-Coder-0.5B labels 100 test rows by the
log-probabilities of the labels, with 8 of those rows as demonstrations, and with the classifier's labels (out of fold)
and confidences beside demonstrations and question; each of two draws of rows is a seed. Then SmolLM2-135M labels 80
test rows with 4 demonstrations of a pool of 1,000 training rows: by chance (three draws), BM25, MiniLM, MiniLM with
maximal marginal relevance, and MiniLM taught by the model's own feedback on 100 questions of the pool, 6 demonstrations
tried for each; near-copies of a question are never shown to it. Intervals resample seeds and test rows together;
differences are of the same rows. What was asked and learnt is kept (`.bench/enhance`). `--quick` takes the embedded
support messages and SmolLM2-135M.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import Cases, estimated
from benchmarks.kd_labels import Set, _kept, mean_case, sets
from pilotfish.measure.intervals import Interval
from pilotfish.models.classify import (
    ClassifierModel,
    EncoderFeatures,
    Labeller,
    Remembered,
    TextClassifier,
    TfidfFeatures,
)
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.prompt.demonstrate import (
    ByChance,
    ByVectors,
    ByWords,
    Chooser,
    Demonstration,
    Finder,
    Form,
    Pool,
    RetrieverLearner,
    by_choices,
    demonstrated,
    feedback,
    taught_finder,
)
from pilotfish.prompt.demonstrate.feedback import proposed
from pilotfish.prompt.soft import SoftDemonstration, SuperICL, soft_demonstrations
from pilotfish.prompt.soft.model import pool_of

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "enhance"
LARGE, SMALL, ENCODER = "qwen2.5-coder-0.5b-instruct", "smollm2-135m-instruct", "all-minilm-l6-v2"
GAIN = "difference of accuracy"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes:
        large: labels with a classifier's labels before it; SmolLM2-135M with chosen demonstrations.
        tested: test rows for soft demonstrations; `shown`: those for chosen ones.
        learnt: rows that a classifier learns.
        seeds: draws of them.
        pool: rows that demonstrations are chosen from.
        questions: of these that feedback is on.
        tried: demonstrations for each, a half near and a half by chance.
        counts: of demonstrations.
        draws: of demonstrations by chance.
    """

    large: str = LARGE
    tested: int = 100
    shown: int = 80
    learnt: int = 200
    seeds: tuple[int, ...] = (10, 11)
    pool: int = 1000
    questions: int = 100
    tried: int = 6
    counts: tuple[int, ...] = (4,)
    draws: int = 3


WHOLE = Size()
QUICK = Size(SMALL, 8, 6, 32, (10,), 40, 4, 2, (2,), 1)


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return accuracies with a small model's labels in the prompt, and with chosen demonstrations."""
    cases = Cases("enhance", quick=quick)
    whole = data is not None and not quick
    size = WHOLE if whole else QUICK
    held = list(sets(data if whole else None))
    large, small = LocalModel(size.large), LocalModel(SMALL)
    for soft, chosen in zip(reversed(held), held, strict=True):
        cases.add(_soft(soft, large, RUNS / f"{soft.name}-{size.large}-{size.learnt}-{size.tested}", size))
        cases.add(_chosen(chosen, small, RUNS / f"{chosen.name}-{SMALL}-{size.pool}-{size.shown}", size))
    return {"name": "enhance", "peer": "the language model or the classifier alone", "cases": cases.found}


def _soft(one: Set, model: LocalModel, folder: Path, size: Size) -> Iterator[dict[str, Any]]:
    """Yield accuracies of small and large alone and together."""
    tests = one.test[: size.tested]
    texts, truth = [text for text, _ in tests], [label for _, label in tests]
    vectors = Remembered(EncoderFeatures(Encoder(ENCODER)))
    makers: dict[str, Callable[[], TextClassifier]] = {
        "MiniLM": lambda: TextClassifier(vectors),
        "TF-IDF": lambda: TextClassifier(TfidfFeatures()),
    }
    found: dict[str, list[Floats]] = {}
    for seed in size.seeds:
        rows = [one.train[i] for i in np.random.default_rng(seed).permutation(len(one.train))[: size.learnt]]
        alone = partial(_few_shot, one, model, rows, seed, texts)
        found.setdefault(f"{model.name} alone", []).append(_kept(folder, "alone", seed, alone, truth))
        for name, make in makers.items():
            made, classifier = soft_demonstrations(make, [text for text, _ in rows], [label for _, label in rows])
            right = np.array([a == b for a, b in zip(classifier.predict(texts), truth, strict=True)], np.float64)
            found.setdefault(f"{name} alone", []).append(right)
            said = partial(_super, one, model, classifier, made, seed, texts)
            key = f"{model.name} with {name}'s labels"
            found.setdefault(key, []).append(_kept(folder, name, seed, said, truth))
    tables = {name: np.stack(each) for name, each in found.items()}
    for name, table in tables.items():
        yield mean_case(f"{one.name}: {name}", table)
    for name in makers:
        both = tables[f"{model.name} with {name}'s labels"]
        for other in (f"{name} alone", f"{model.name} alone"):
            title = f"{one.name}: {model.name} with {name}'s labels, over {other}"
            yield mean_case(title, both - tables[other], GAIN)


def _super(
    one: Set,
    model: LocalModel,
    classifier: TextClassifier,
    shown: Sequence[SoftDemonstration],
    seed: int,
    texts: Sequence[str],
) -> list[str]:
    """Return the labels with a classifier's in the prompt: the same demonstrations for all texts."""
    chooser = Chooser(ByChance(pool_of(shown), seed), 8, diverse="balanced", same=None)
    small = ClassifierModel(classifier, "small")
    made = SuperICL(model, small, list(one.names), tuple(shown), chooser, one.names)
    return [str(label) for label in made.predict(texts).labels]


def _few_shot(
    one: Set, model: LocalModel, rows: Sequence[tuple[str, str]], seed: int, texts: Sequence[str]
) -> list[str]:
    """Return the labels with the same demonstrations, without a classifier."""
    pool = Pool(tuple(Demonstration(text, label) for text, label in rows))
    chooser = Chooser(ByChance(pool, seed), 8, diverse="balanced", same=None)
    (chosen,) = chooser.choose(["any"])
    held = [pool.demonstrations[place] for place in chooser.ordered(chosen.places, chosen.scores)]
    examples = [(demonstration.input, demonstration.output) for demonstration in held]
    labeller = Labeller(model, list(one.names), one.names, examples)
    return [str(label) for label in labeller.predict(texts).labels]


def _chosen(one: Set, model: LocalModel, folder: Path, size: Size) -> Iterator[dict[str, Any]]:
    """Yield accuracies with demonstrations by each way to choose them, and what each adds over chance."""
    tests = one.test[: size.shown]
    texts, truth = [text for text, _ in tests], [label for _, label in tests]
    rows = [one.train[i] for i in np.random.default_rng(7).permutation(len(one.train))[: size.pool]]
    pool = Pool(tuple(Demonstration(text, one.names[label]) for text, label in rows))
    encoder = Encoder(ENCODER)
    near = ByVectors(pool, encoder)
    taught, gain = _taught(one, model, pool, encoder, folder, size)
    if gain is not None:
        title = f"{one.name}: the answer's log-probability with the first demonstration, taught over MiniLM"
        yield estimated(title, Interval(**gain), "nats")
    finders: dict[str, tuple[Finder, Any]] = {
        "BM25": (ByWords(pool), "no"),
        "MiniLM": (near, "no"),
        "MiniLM, MMR": (near, "mmr"),
        "MiniLM taught by feedback": (taught, "no"),
    }
    for k in size.counts:
        chance = []
        for draw in range(size.draws):
            chooser = Chooser(ByChance(pool, draw), k)
            said = partial(_shown, one, model, chooser, texts)
            chance.append(_kept(folder, f"chance-{k}", draw, said, truth))
        table = np.stack(chance)
        yield mean_case(f"{one.name}: {k} demonstrations by chance", table)
        rights: dict[str, Floats] = {}
        for name, (finder, diverse) in finders.items():
            said = partial(_shown, one, model, Chooser(finder, k, diverse=diverse), texts)
            rights[name] = right = _kept(folder, f"{name}-{k}", 0, said, truth)
            yield mean_case(f"{one.name}: {k} demonstrations by {name}", right[None])
            yield mean_case(f"{one.name}: {k} demonstrations by {name}, over chance", right[None] - table, GAIN)
            if name.startswith(("MiniLM ", "MiniLM,")):
                title = f"{one.name}: {k} demonstrations by {name}, over MiniLM"
                yield mean_case(title, (right - rights["MiniLM"])[None], GAIN)


def _shown(one: Set, model: LocalModel, chooser: Chooser, texts: Sequence[str]) -> list[str]:
    chooser.choose(texts)  # all together; each is then known
    form = Form(input="Text: {input}")
    labeller = Labeller(demonstrated(chooser, model, form, budget=None), list(one.names), one.names)
    return [str(label) for label in labeller.predict(texts).labels]


def _taught(
    one: Set, model: LocalModel, pool: Pool, encoder: Encoder, folder: Path, size: Size
) -> tuple[ByVectors, dict[str, Any] | None]:
    """Return MiniLM taught by the language model's feedback, and what that gained; it is taught once."""
    out = folder / "retriever"
    if not (out / "retriever.json").is_file():
        places = np.random.default_rng(3).permutation(len(pool))[: size.questions].tolist()
        half = size.tried // 2
        tried = proposed(ByVectors(pool, encoder), places, half, size.tried - half)
        judge = by_choices(model, {name: name for name in one.names.values()})
        asks = Labeller(model, list(one.names), one.names).request
        told = feedback(pool, places, tried, judge, folder / "feedback", form=Form(input="Text: {input}"), ask=asks)
        RetrieverLearner(encoder, held_out=0.15, folder=folder / "run").fit(pool, told).save(out)
    report: dict[str, Any] = json.loads((out / "retriever.json").read_text(encoding="utf-8"))["report"]
    return taught_finder(out, pool), report["gain"]
