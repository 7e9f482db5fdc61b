"""A small model taught on what a large one wrote, labelled or varied, on TREC and SST-2; and rows by a model of 135M.

Qwen2.5-Coder is the generator and the labeller: of 1.5B for TREC and of 0.5B for SST-2, which is what two cores answer
in an hour. The student is a linear head on MiniLM's vectors, its penalty
chosen by folds, measured on 600 official test rows (TREC has 500), in five ways:

- from scratch: 300 rows by class and attribute, near-duplicates and rows that touch a test row out; nobody's labels;
- LLM-labelled: 300 training texts with the labels that the model gives them without any example;
- gold-50 + augmented: 50 people's labels and a paraphrase of each by the model, and, apart, four noisy copies;
- gold-50, and gold-all.

Five seeds: which 50, which 80% of the other rows, and the folds; the model is asked once. Intervals draw seeds and
test rows together, differences are of the same rows. What touches a test row is counted before and after. The model's
own accuracy without examples is measured on the same test rows. All calls are kept (`.bench/synth-task`).

The last part has SmolLM2-135M write rows of six fields under a schema, and without one. `--quick` takes the embedded
support messages, SmolLM2-135M, few rows and one seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import Cases
from benchmarks.kd_labels import GAIN, Set, mean_case, sets
from pilotfish.measure.intervals import wilson
from pilotfish.models.choosing import Choosing
from pilotfish.models.classify import EncoderFeatures, Features, Remembered
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.rows.decontaminate import decontaminate
from pilotfish.synthesize.asking import Asking
from pilotfish.synthesize.augment import GROUP, Noised, Paraphrased, group_of
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.keep import Clean, Unlike
from pilotfish.synthesize.labels import Choice, Labelling
from pilotfish.synthesize.make import synthesize
from pilotfish.synthesize.prove import fitted
from pilotfish.synthesize.scratch.attributed import Attributed

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "synth-task"
LARGE = {"TREC": "qwen2.5-coder-1.5b-instruct", "SST-2": "qwen2.5-coder-0.5b-instruct"}
SMALL, ENCODER = "smollm2-135m-instruct", "all-minilm-l6-v2"
SEEDS, FEW, SHARE, LABELLED = (20, 21, 22, 23, 24), 50, 0.8, 300
Pairs = list[tuple[str, str]]
Tied = list[tuple[str, str, str]]  # with a group: what belongs together is never on both sides of a fold

TASKS: dict[str, dict[str, Any]] = {
    "TREC": {
        "scratch": "Factual questions that people ask a search engine.",
        "labels": "What kind of answer a question asks for.",
        "attributes": {
            "topic": ["history", "geography", "science", "sports", "music and film", "animals", "food", "computers"],
            "begins with": ["What", "Who or Where", "How", "When or Why", "Name", "Which", "In what", "any word"],
        },
    },
    "SST-2": {
        "scratch": "Sentences of film reviews, lower case, as critics write them.",
        "labels": "The sentiment of a sentence from a film review.",
        "attributes": {
            "about": ["the plot", "an actor", "the director", "the script", "the whole film", "images", "humour"],
            "length": ["five words", "a short sentence", "a long sentence", "half a sentence"],
            "kind of film": ["comedy", "drama", "thriller", "documentary", "horror", "children's film"],
        },
    },
    "support": {
        "scratch": "Messages of customers to a shop's support.",
        "labels": "What a customer's message is about.",
        "attributes": {"tone": ["calm", "angry", "confused"]},
    },
}
FORM = {
    "title": {"type": "string", "maxLength": 60, "description": "of the book"},
    "genre": ["crime", "romance", "science fiction", "history"],
    "pages": {"type": "integer", "minimum": 40, "maximum": 1200},
    "rating": {"type": "number", "minimum": 0, "maximum": 5},
    "translated": {"type": "boolean"},
    "topics": {"type": "array", "items": {"type": "string", "maxLength": 20}, "minItems": 1, "maxItems": 3},
}


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return the student's accuracy in each way, what each gains, and how many rows fit their schema."""
    cases = Cases("synth-task", quick=quick)
    whole = data is not None and not quick
    for one in sets(data if whole else None):
        folder = RUNS / (one.name if whole else "quick")
        cases.add(_of(one, folder, LARGE[one.name] if whole else SMALL, SEEDS if whole else SEEDS[:1], whole=whole))
    cases.add(_schema(RUNS / ("schema" if whole else "schema-quick"), 500 if whole else 8))
    return {
        "name": "synth-task",
        "peer": "the same student of people's labels; the generator itself",
        "cases": cases.found,
    }


def _of(one: Set, folder: Path, large: str, seeds: Sequence[int], *, whole: bool) -> list[dict[str, Any]]:
    model = LocalModel(large)
    train = [(text, one.names[label]) for text, label in one.train]
    tests, truth = [text for text, _ in one.test], [one.names[label] for _, label in one.test]
    order = np.random.default_rng(7).permutation(len(train))
    pool = [train[i][0] for i in order[: 600 if whole else 20]]
    people, asked = [train[i] for i in order[len(pool) :]], pool[:LABELLED]
    own = np.array(_labelled(one, tests, model, folder / "own")) == np.array(truth)
    told = _labelled(one, asked, model, folder / "labelled")
    right = [label == train[i][1] for label, i in zip(told, order, strict=False)]
    labelled = [(text, label) for text, label in zip(asked, told, strict=True) if label is not None]
    scratch, touching = _scratch(one, model, folder / "scratch", 300 if whole else 8)
    cases = [
        _share(f"{one.name}: the generator itself, no example, test rows", own.tolist()),
        _share(f"{one.name}: the generator's labels of training rows", right),
        _count(f"{one.name}: rows from scratch that touched a test row, rejected", touching, len(scratch) + touching),
    ]
    features = Remembered(EncoderFeatures(Encoder(ENCODER)))
    found: dict[str, list[NDArray[np.float64]]] = {}
    taken = left = learnt = 0
    for seed in seeds:
        for name, rows in _ways(one, people, scratch, labelled, model, folder, seed).items():
            touched = _touching(rows, tests)
            clean = [row for i, row in enumerate(rows) if i not in touched]
            taken, left, learnt = taken + len(touched), left + len(_touching(clean, tests)), learnt + len(rows)
            said = _student(clean, features, tests, seed)
            found.setdefault(name, []).append(np.array([a == b for a, b in zip(said, truth, strict=True)], np.float64))
    cases.append(_count(f"{one.name}: rows that touched a test row, taken out of all five ways", taken, learnt))
    cases.append(_count(f"{one.name}: rows that touched a test row, in what was learnt", left, learnt - taken))
    tables = {name: np.stack(each) for name, each in found.items()}
    tables["the generator itself"] = np.tile(own.astype(np.float64), (len(seeds), 1))
    cases += [mean_case(f"{one.name}: {name}", table) for name, table in tables.items()]
    for name, base in (
        ("LLM-labelled", "the generator itself"),
        ("from scratch", "the generator itself"),
        ("LLM-labelled", "gold-50"),
        ("from scratch", "gold-50"),
        ("gold-50 + paraphrases", "gold-50"),
        ("gold-50 + noise", "gold-50"),
    ):
        title = f"{one.name}: {name}, over {base}"
        cases.append(mean_case(title, tables[name] - tables[base], GAIN))
    return cases


def _ways(
    one: Set, people: Pairs, scratch: Pairs, labelled: Pairs, model: LocalModel, folder: Path, seed: int
) -> dict[str, Tied]:
    random = np.random.default_rng(seed)
    few = [people[i] for i in random.permutation(len(people))[:FEW]]

    def some(rows: Pairs) -> Tied:
        return _alone([rows[i] for i in sorted(random.permutation(len(rows))[: round(SHARE * len(rows))])])

    rows = [{"text": text, "label": label} for text, label in few]
    parents = [(row["text"], row["label"], group_of(row, "text", GROUP)) for row in rows]
    ways = {"from scratch": some(scratch), "LLM-labelled": some(labelled)}
    for name, recipe, asked in (
        ("paraphrases", Paraphrased(rows, label="label", each=1, asking=Asking((0.7,), 64)), model),
        ("noise", Noised(rows, label="label", each=4), None),
    ):
        synthesize(recipe, asked, folder / f"{name}-{seed}", seed=seed)
        children = _lines(folder / f"{name}-{seed}" / "rows.jsonl")
        ways[f"gold-50 + {name}"] = parents + [(row["text"], row["label"], row[GROUP]) for row in children]
    return {**ways, "gold-50": parents, "gold-all": _alone(people)}


def _alone(rows: Pairs) -> Tied:
    return [(text, label, str(i)) for i, (text, label) in enumerate(rows)]


def _scratch(one: Set, model: LocalModel, folder: Path, rows: int) -> tuple[Pairs, int]:
    """Return the rows that were kept, and how many were rejected since they touch a test row."""
    task = TASKS[one.name]
    recipe = Attributed(
        task["scratch"],
        Fields({"text": {"type": "string", "maxLength": 240, "description": "the text"}, "label": "its class"}),
        label="label",
        labels=list(one.names.values()),
        attributes=task["attributes"],
        asking=Asking((0.7, 1.0), 96),
    )
    tests = {"test": [text for text, _ in one.test]}
    synthesize(recipe, model, folder, rows=rows, checks=[Clean(tests, ["text"]), Unlike(["text"])])
    reasons = [str(row["reason"]) for row in _lines(folder / "rejects.jsonl")]
    kept = [(row["text"], row["label"]) for row in _lines(folder / "rows.jsonl")]
    return kept, sum(reason.startswith(Clean.name) for reason in reasons)


def _labelled(one: Set, texts: Sequence[str], model: LocalModel, folder: Path) -> list[str | None]:
    """Return the label that the model gives each text, by the probabilities of the labels, without any example."""
    rows = [{"text": text, "number": i} for i, text in enumerate(texts)]
    kind = Choice(list(one.names.values()))
    labelling = Labelling(kind, rows, task=TASKS[one.name]["labels"], by="probability", unbias=True)
    synthesize(labelling, Choosing(model), folder)
    found: list[str | None] = [None] * len(texts)
    for row in _lines(folder / "rows.jsonl"):
        found[row["number"]] = row["label"]
    return found


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _touching(rows: Tied, tests: Sequence[str]) -> set[int]:
    return set(decontaminate([text for text, _, _ in rows], {"test": list(tests)}).removed)


def _student(rows: Tied, features: Features, tests: Sequence[str], seed: int) -> list[str]:
    """Return what a student of these rows says of the test rows."""
    texts, labels, groups = zip(*rows, strict=True)
    student, _ = fitted(features, list(texts), list(labels), groups, seed)
    return student.predict(tests)


def _schema(folder: Path, rows: int) -> Iterator[dict[str, Any]]:
    """Yield the share of a 135M model's answers that are rows by the schema, with it as a constraint and without."""
    small = LocalModel(SMALL)
    for name, constrained in (("under the schema", True), ("without it", False)):
        recipe = Attributed(
            "Books of an imagined library.",
            Fields(FORM),
            attributes={"decade": ["1950s", "1980s", "2010s"], "mood": ["dark", "light", "odd"]},
            asking=Asking((0.7, 1.0), 160, constrained=constrained),
        )
        where = folder / ("free" if not constrained else "held")
        report = synthesize(recipe, small, where, rows=rows if constrained else rows // 4, rounds=1)
        yield _share(
            f"SmolLM2-135M, six fields, {name}: valid rows", [1] * report.kept + [0] * (report.prompts - report.kept)
        )


def _share(title: str, right: Sequence[int | bool]) -> dict[str, Any]:
    found = wilson(float(sum(right)), len(right))
    return {"case": title, "value": found.value, "low": found.low, "high": found.high, "unit": "share", "n": len(right)}


def _count(title: str, value: int, n: int) -> dict[str, Any]:
    return {"case": title, "value": float(value), "unit": "rows", "n": n}
