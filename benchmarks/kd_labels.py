"""A small student with 200 people's labels, and with a large model's labels and rationales of other rows beside them.

TREC (6 types of question) and SST-2 (sentiment), official test parts. Qwen2.5-Coder-1.5B labels 400 training rows by
its log-probabilities and says why, once; 200 other rows with people's labels are drawn for each of five seeds. Three
students: a linear head on MiniLM's vectors, MiniLM fine-tuned, and SmolLM2-135M with adapters, which learns labels, or
labels and rationales as two tasks (distilling step by step). A student takes as many steps in every way, as many as its
largest set asks for: or what more rows teach could not be told from what longer training does. Accuracies are means
over the seeds; intervals resample seeds and test rows together, differences are of the same rows. What was asked and
learnt is kept (`.bench/kd-labels`). `--quick` takes the embedded support messages, SmolLM2-135M as the teacher, one
seed and no language model as a student.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import Cases
from benchmarks.advise import SUPPORT, TREC_NAMES
from pilotfish.distill.blackbox import rationales
from pilotfish.distill.blackbox.students.linear import LinearStudent
from pilotfish.distill.blackbox.students.tuned import EncoderStudent
from pilotfish.distill.distiller import Distiller
from pilotfish.measure.intervals import drawn_again
from pilotfish.model import Request
from pilotfish.models.classify import EncoderFeatures, Labeller
from pilotfish.models.classify.labelled import TeacherLabels, labelled
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.rows.read import read
from pilotfish.train.settings import Fit

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "kd-labels"
LARGE, SMALL, ENCODER = "qwen2.5-coder-1.5b-instruct", "smollm2-135m-instruct", "all-minilm-l6-v2"
GOLD, TAUGHT, TESTED, POOL_SEED, SEEDS = 200, 400, 600, 7, (10, 11, 12, 13, 14)
GAIN = "difference of accuracy"
LM = Fit(epochs=2, batch_tokens=1024, rank=16, rate=5e-4)
TUNED = Fit(epochs=4, batch_tokens=512, rate=5e-5, decay=0.01, dtype="float32")


@dataclass(frozen=True)
class Set:
    """Rows as (text, label), what each label is called, and the part of them that tests."""

    name: str
    names: dict[str, str]
    train: list[tuple[str, str]]
    test: list[tuple[str, str]]

    def texts(self, rows: Sequence[int]) -> list[str]:
        """Return training rows' texts."""
        return [self.train[i][0] for i in rows]


def sets(data: Path | None) -> Iterator[Set]:
    """Yield the data sets."""
    random = np.random.default_rng(POOL_SEED)
    if data is None:
        rows = [(str(row["text"]), str(row["intent"])) for row in read(SUPPORT / "labelled.jsonl")]
        order = random.permutation(len(rows))
        names = {label: label.replace("_", " ") for label in sorted({label for _, label in rows})}
        yield Set("support", names, [rows[i] for i in order[40:]], [rows[i] for i in order[:40]])
        return
    sent = data / "sent_conv"
    for name, names, train, test, encoding in (
        ("TREC", TREC_NAMES, "TREC.train.all", "TREC.test.all", "latin-1"),
        ("SST-2", {"0": "negative", "1": "positive"}, "stsa.binary.train", "stsa.binary.test", "utf-8"),
    ):
        parts = [
            [(str(row["text"]), str(row["label"])) for row in read(path, format="labelled-lines", encoding=encoding)]
            for path in (sent / train, sent / test)
        ]
        tested = random.permutation(len(parts[1]))[:TESTED]
        known = {text for text, _ in parts[1]}
        learnt = list({text: (text, label) for text, label in parts[0] if text not in known}.values())
        yield Set(name, names, learnt, [parts[1][i] for i in tested])


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return each student's accuracy in each way, and what the teacher's part gains."""
    cases = Cases("kd-labels", quick=quick)
    whole = data is not None and not quick
    for one in sets(data if whole else None):
        taught, seeds = (TAUGHT, SEEDS) if whole else (20, SEEDS[:1])
        cases.add(_of(one, taught, GOLD if whole else 20, seeds, LARGE if whole else SMALL, lm=whole))
    return {"name": "kd-labels", "peer": "the same student with people's labels alone", "cases": cases.found}


def _of(one: Set, taught: int, gold: int, seeds: Sequence[int], large: str, *, lm: bool) -> list[dict[str, Any]]:
    order = np.random.default_rng(POOL_SEED).permutation(len(one.train))
    pool, rest = order[:taught].tolist(), order[taught:]
    folder = RUNS / f"{one.name}-{large}-{taught}"
    teacher = LocalModel(large)
    labeller = Labeller(teacher, list(one.names), names=one.names).calibrate(one.texts(pool))
    said = labelled(one.texts(pool), labeller, list(one.names), folder / "labels")
    right = np.array([said.labels[k] == one.train[i][1] for k, i in enumerate(pool)])
    cases = [mean_case(f"{one.name}: the teacher's labels", right[None])]
    why = _rationales(one, pool, said, teacher, folder) if lm else []
    found: dict[str, list[NDArray[np.float64]]] = {}
    for seed in seeds:
        rows = np.random.default_rng(seed).permutation(rest)[:gold].tolist()
        for name, correct in _students(one, rows, pool, said, why, folder, seed, lm=lm):
            found.setdefault(name, []).append(correct)
    for name, each in found.items():
        correct = np.stack(each)
        cases.append(mean_case(f"{one.name}: {name}", correct))
        student, _, way = name.partition(", ")
        if way != "people's labels":
            base = np.stack(found[f"{student}, people's labels"])
            cases.append(mean_case(f"{one.name}: {name}, over people's alone", correct - base, GAIN))
        if way.endswith("rationales"):
            base = np.stack(found[f"{student}, and the teacher's"])
            cases.append(mean_case(f"{one.name}: {name}, over labels alone", correct - base, GAIN))
    return cases


def _students(
    one: Set,
    rows: list[int],
    pool: list[int],
    said: TeacherLabels,
    why: list[dict[str, Any]],
    folder: Path,
    seed: int,
    *,
    lm: bool,
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield each student in each way, and which test rows it gets right: (rows,)."""
    tests, truth = [text for text, _ in one.test], [label for _, label in one.test]
    gold = [one.train[i][1] for i in rows]
    texts = one.texts(rows)
    both, marked = texts + one.texts(pool), [*gold, *([None] * len(pool))]
    silent = np.full((len(rows), len(said.classes)), np.nan)
    beside = TeacherLabels(said.classes, np.concatenate([silent, said.probabilities]))

    def linear() -> LinearStudent:
        return LinearStudent(EncoderFeatures(Encoder(ENCODER)), seed=seed)

    steps = _steps(Encoder(ENCODER).lengths(both), TUNED)

    def tuned() -> EncoderStudent:
        return EncoderStudent(Encoder(ENCODER), seed=seed, fit=replace(TUNED, seed=seed, steps=steps))

    makers: dict[str, Callable[[], LinearStudent | EncoderStudent]] = {
        "linear on MiniLM": linear,
        "MiniLM fine-tuned": tuned,
    }

    def said_by(make: Callable[[], LinearStudent | EncoderStudent], *learnt: Any) -> list[str]:
        return make().fit(*learnt).predict(tests)

    for name, make in makers.items():
        for way, learnt in (("people's labels", (texts, gold)), ("and the teacher's", (both, marked, beside))):
            key = f"{name}, {way}"
            yield key, _kept(folder / "said", key, seed, partial(said_by, make, *learnt), truth)
    if lm:
        mine = [_labelling(text, one.names[label]) for text, label in zip(texts, gold, strict=True)]
        theirs = [
            _labelling(one.train[i][0], one.names[label])
            for i, label in zip(pool, said.labels, strict=True)
            if label is not None
        ]
        tokens = LocalModel(SMALL).tokenizer
        told = [f"{task['messages'][0]['content']} {task['answer']}" for task in mine + theirs + why]
        steps = _steps([len(tokens(text)["input_ids"]) for text in told], LM)
        for way, tasks in (
            ("people's labels", mine),
            ("and the teacher's", mine + theirs),
            ("and the teacher's, and its rationales", mine + theirs + why),
        ):
            key = f"SmolLM2-135M, {way}"
            out = folder / f"{key.replace(' ', '-').replace(',', '')}-{seed}-{steps}"
            yield (
                key,
                _kept(
                    folder / "said",
                    key,
                    seed,
                    partial(_lm, one, tasks, out, replace(LM, seed=seed, steps=steps), tests),
                    truth,
                ),
            )


def _steps(lengths: Sequence[int], fit: Fit) -> int:
    """Return how many steps the epochs over rows of so many tokens are."""
    return max(1, round(fit.epochs * sum(lengths) / fit.batch_tokens))


def _kept(
    folder: Path, key: str, seed: int, predict: Callable[[], list[str]], truth: Sequence[str]
) -> NDArray[np.float64]:
    path = folder / f"{key.replace(' ', '-')}-{seed}.json"
    if not path.exists():
        predicted = predict()
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(predicted), encoding="utf-8")
    predicted = json.loads(path.read_text(encoding="utf-8"))
    return np.array([a == b for a, b in zip(predicted, truth, strict=True)], dtype=np.float64)


def _labelling(text: str, name: str, prefix: str = "[label]") -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"{prefix} {text}"}], "answer": name}


def _rationales(
    one: Set, pool: list[int], said: TeacherLabels, teacher: LocalModel, folder: Path
) -> list[dict[str, Any]]:
    """Return the rationales, where the label that they end in is the one that was learnt, as rows of their own task.

    A rationale's tokens weigh together as much as a label's.
    """
    rows = [{"text": one.train[i][0], "number": k} for k, i in enumerate(pool)]
    tokens = LocalModel(SMALL).tokenizer
    made = rationales(
        rows,
        teacher,
        folder / "rationales",
        question="{text}",
        labels=one.names,
        length=lambda text: len(tokens(text, add_special_tokens=False)["input_ids"]) + 1,
        temperature=0.0,
        max_tokens=96,
    ).rows
    ended = {row["source"]["number"]: row["answer"] for row in made if row["task"] == "label"}
    longest = 1 + max(len(tokens(name, add_special_tokens=False)["input_ids"]) for name in one.names.values())
    return [
        {"messages": row["messages"], "answer": row["answer"], "weight": 2 * row["weight"] * longest}
        for row in made
        if row["task"] == "rationale" and ended[row["source"]["number"]] == said.labels[row["source"]["number"]]
    ]


def _lm(one: Set, rows: list[dict[str, Any]], out: Path, how: Fit, tests: Sequence[str]) -> list[str]:
    """Teach the language model, and return what it says of the test rows."""
    Distiller(SMALL, None, out, alpha=0.0, fit=how, length=256, held_out=0.05).fit(rows)
    taught = LocalModel(out)
    contexts = [taught.render(Request.of(f"[label] {text}")) for text in tests]
    choices = taught.choices(contexts, list(one.names.values()))
    labels = list(one.names)
    for weights in out.glob("*.safetensors"):
        weights.unlink()  # what it says is kept; thirty models need not be
    return [labels[i] for i in choices.argmax(axis=1)]


def mean_case(title: str, table: NDArray[Any], unit: str = "accuracy") -> dict[str, Any]:
    """Return a mean over (seeds, rows), with an interval that draws seeds and rows again."""
    found = drawn_again(table, lambda each: float(each.mean()), resamples=2000)
    shown = {"case": title, "value": found.value, "low": found.low, "high": found.high, "unit": unit}
    return {**shown, "n": found.n, "seeds": len(table)}
