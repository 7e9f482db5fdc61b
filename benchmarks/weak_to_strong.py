"""Small specialists teach SmolLM2-135M and Qwen2.5-Coder-0.5B: weak, weak to strong, ceiling, the gap recovered.

SST-2, TREC, Subj and CR. Each of five seeds deals 1,500 rows anew: 300 with people's labels teach the supervisors,
1,000 others are labelled by them and teach the strong model; 500 fixed test rows measure. Supervisors: a generalist (a
linear head on MiniLM's vectors, of all 300); four specialists (the same, each of one topic's rows: k-means of the
vectors of rows without labels), of which each row has its own; and the label model over the specialists, a TF-IDF
classifier and keywords (the words that tell most in the 300): GLAD, the best of nine on three seeds of TREC's 1,000
rows, not its test rows. The strong model is probed on its averaged hidden states, with cross-entropy and with the
confidence loss (at most .5, warm-up .2); its ceiling learns people's labels of the same 1,000 rows. On TREC SmolLM2 is
tuned by adapters too, of 256 rows, from such a probe's head on. Intervals draw seeds and rows again, all models
together; no gap recovered is told where the gap is within noise. What was tuned is kept (`.bench/weak-to-strong`),
with the seconds it took, which count as time of this run. `--quick` takes the embedded support messages, SmolLM2 and
one seed.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import Cases, estimated
from benchmarks.kd_labels import sets
from pilotfish.measure.label_models import Glad
from pilotfish.models.classify import EncoderFeatures, Remembered, TfidfFeatures
from pilotfish.models.encoder import Encoder
from pilotfish.models.reader import Reader
from pilotfish.rows.read import read
from pilotfish.supervise.recovered import accuracy_of, recovered, when_they_differ
from pilotfish.supervise.sources import Keywords, Source, Specialist, Topics, votes_of
from pilotfish.supervise.strong.loss import Objective
from pilotfish.supervise.strong.model import StrongModel
from pilotfish.supervise.strong.probe import Probe
from pilotfish.train.lm_encoder import encoder_of_lm
from pilotfish.train.settings import Fit

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "weak-to-strong"
ENCODER, SMALL, LARGE = "all-minilm-l6-v2", "smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct"
SEEDS, DEALT, GOLD, LEARNT, TESTED, TUNED, TOPICS = (30, 31, 32, 33, 34), 1500, 300, 1000, 500, 256, 4
CONFIDENT = Objective(confidence=0.5, warmup=0.2)
LORA = Fit(epochs=2, batch_tokens=256, rate=2e-4, rank=8)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """Rows to draw from and rows to test on."""

    name: str
    classes: list[str]
    pool: list[tuple[str, str]]
    test: list[tuple[str, str]]


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return weak, strong and ceiling of each set, supervisor and strong model."""
    cases = Cases("weak-to-strong", quick=quick)
    start, before = time.perf_counter(), list[float]()
    whole = data is not None and not quick
    encoder = Encoder(ENCODER)
    vectors = Remembered(EncoderFeatures(encoder))
    models = {"SmolLM2-135M": SMALL, "Qwen2.5-Coder-0.5B": LARGE} if whole else {"SmolLM2-135M": SMALL}
    states = {name: Remembered(EncoderFeatures(Reader(weights, dtype="float32"))) for name, weights in models.items()}
    for task in tasks(data if whole else None):
        cases.add(of_task(task, vectors, encoder, states, SEEDS if whole else SEEDS[:1], whole=whole, before=before))
    minutes = (time.perf_counter() - start + sum(before)) / 60
    cases.add([{"case": "the whole of it", "value": minutes, "unit": "minutes", "n": 1}])
    return {
        "name": "weak-to-strong",
        "peer": "the supervisor, and people's labels of the same rows",
        "cases": cases.found,
    }


def tasks(data: Path | None) -> Iterator[Task]:
    """Yield the data sets, without texts that stand on both sides."""
    for one in sets(data):
        yield Task(one.name, list(one.names), one.train, one.test)
    if data is None:
        return
    for name, file, encoding in (("Subj", "subj.all", "latin-1"), ("CR", "custrev.all", "utf-8")):
        rows = read(data / "sent_conv" / file, format="labelled-lines", encoding=encoding)
        labels: dict[str, set[str]] = {}
        for row in rows:
            labels.setdefault(str(row["text"]), set()).add(str(row["label"]))
        # A text with two labels measures nothing.
        plain = [(text, next(iter(given))) for text, given in labels.items() if len(given) == 1]
        order = np.random.default_rng(7).permutation(len(plain))
        mixed = [plain[i] for i in order]
        yield Task(name, sorted({label for _, label in plain}), mixed[TESTED:], mixed[:TESTED])


def of_task(
    task: Task,
    vectors: Remembered,
    encoder: Encoder,
    states: dict[str, Remembered],
    seeds: Sequence[int],
    *,
    whole: bool,
    before: list[float],
) -> Iterator[dict[str, Any]]:
    """Yield the cases of a data set; `before` takes the seconds of trainings that were kept."""
    truth = np.array([task.classes.index(label) for _, label in task.test])
    gold, learnt = (GOLD, LEARNT) if whole else (40, 60)
    dealt = np.random.default_rng(29).permutation(len(task.pool))[:DEALT]
    said: dict[tuple[str, ...], list[Floats]] = {}
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(dealt)
        mine, rows = ([task.pool[i] for i in some] for some in (order[:gold], order[gold : gold + learnt]))
        weak = supervisors(task, vectors, encoder, mine, [text for text, _ in rows])
        people = np.eye(len(task.classes))[[task.classes.index(label) for _, label in rows]]
        texts, tests = [text for text, _ in rows], [text for text, _ in task.test]
        for supervisor, (_, tested) in weak.items():
            said.setdefault((supervisor,), []).append(tested)
        ways = {way: (labels, Objective()) for way, (labels, _) in weak.items()}
        ways |= {f"{way}, confidence": (labels, CONFIDENT) for way, (labels, _) in weak.items()}
        ways["people"] = (people, Objective())
        for model, over in states.items():
            for way, (labels, objective) in ways.items():
                made = StrongModel(over, Probe(seed=seed), objective).fit(texts, labels, task.classes)
                said.setdefault((model, way), []).append(made.predict_proba(tests))
        if whole and task.name == "TREC":
            for way in ("label model", "label model, confidence", "people"):
                key = ("SmolLM2-135M by adapters", way)
                labels, objective = ways[way]
                kept = RUNS / f"{task.name}-{way.replace(', ', '-').replace(' ', '-')}-{seed}.json"
                found = _tuned(kept, texts[:TUNED], labels[:TUNED], objective, task.classes, tests, seed, before)
                said.setdefault(key, []).append(found)
    for supervisor in ("generalist", "specialists", "label model"):
        weak_said = np.stack(said[(supervisor,)])
        for model in dict.fromkeys(key[0] for key in said if len(key) == 2):
            for way in (supervisor, f"{supervisor}, confidence"):
                if (model, way) in said:
                    strong, ceiling = np.stack(said[(model, way)]), np.stack(said[(model, "people")])
                    yield from told(f"{task.name}, {way}, {model}", weak_said, strong, ceiling, truth)


def supervisors(
    task: Task, vectors: Remembered, encoder: Encoder, gold: list[tuple[str, str]], texts: list[str]
) -> dict[str, tuple[Floats, Floats]]:
    """Return each supervisor's labels of the texts and of the test rows: (rows, classes); NaN where it has none."""
    own, marks = [{"text": text} for text, _ in gold], [label for _, label in gold]
    rows, tests = [{"text": text} for text in texts], [{"text": text} for text, _ in task.test]
    topics = Topics(encoder, TOPICS).fit([*own, *rows])
    specialists: list[Source] = []
    for number, scope in enumerate(topics.topics()):
        mine = [label for label, here in zip(marks, scope.of(own), strict=True) if here]
        if len(set(mine)) > 1:
            specialists.append(Specialist(vectors, f"topic {number}", scope=scope).fit(own, marks))
    tfidf: Source = Specialist(TfidfFeatures(), "tf-idf").fit(own, marks)
    words: Source = Keywords(telling(gold), "keywords", least=0.6)
    generalist: Source = Specialist(vectors, "generalist").fit(own, marks)
    found = {}
    for name, some in (("generalist", [generalist]), ("specialists", specialists)):
        votes = [votes_of(some, part, task.classes) for part in (rows, tests)]
        shares = [each.counts / np.maximum(each.counts.sum(axis=1, keepdims=True), 1e-12) for each in votes]
        for each, share in zip(votes, shares, strict=True):
            share[~each.voted] = np.nan
        found[name] = (shares[0], shares[1])
    every = [*specialists, tfidf, words]
    votes = [votes_of(every, part, task.classes) for part in (rows, tests)]
    model = Glad().fit(votes[0])
    found["label model"] = (model.predict_proba(votes[0]), model.predict_proba(votes[1]))
    return found


def telling(gold: Sequence[tuple[str, str]], count: int = 8) -> dict[str, list[str]]:
    """Return the words that tell most of each class: log-odds with a half added, in three rows at least."""
    seen = {label: Counter[str]() for _, label in gold}
    for text, label in gold:
        seen[label].update({word for word in text.lower().split() if word.isalpha()})
    sizes = Counter(label for _, label in gold)
    found = {}
    for label, counts in seen.items():
        rest = len(gold) - sizes[label]
        odds = {}
        for word in (word for word, times in counts.items() if times >= 3):
            other = sum(seen[one][word] for one in seen if one != label)
            odds[word] = np.log((counts[word] + 0.5) / (sizes[label] + 1)) - np.log((other + 0.5) / (rest + 1))
        found[label] = sorted(odds, key=odds.__getitem__, reverse=True)[:count]
    return {label: words for label, words in found.items() if words}


def _tuned(
    kept: Path,
    texts: list[str],
    labels: Floats,
    objective: Objective,
    classes: list[str],
    tests: list[str],
    seed: int,
    before: list[float],
) -> Floats:
    if kept.exists():
        before.append(json.loads(kept.read_text(encoding="utf-8"))["seconds"])
    else:
        kept.parent.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        folder = RUNS / "smollm2-mean"
        if not (folder / "modules.json").exists():
            encoder_of_lm(SMALL, folder, max_length=64)
        how = Fit(**{**LORA.__dict__, "seed": seed})
        made = StrongModel(Encoder(folder), how, objective, head_rate=5.0, start=Probe(seed=seed))
        made.fit(texts, labels, classes)
        told = made.predict_proba(tests).tolist()
        kept.write_text(json.dumps({"seconds": time.perf_counter() - start, "told": told}), encoding="utf-8")
    return np.array(json.loads(kept.read_text(encoding="utf-8"))["told"])


def told(
    name: str, weak: Floats, strong: Floats, ceiling: Floats, truth: NDArray[np.int64]
) -> Iterator[dict[str, Any]]:
    """Yield weak, strong, ceiling and PGR, and what the strong model says where they differ."""
    # A supervisor that says nothing guesses the class that it says most.
    commonest = np.nanmean(weak, axis=(0, 1))
    weak = np.where(np.isnan(weak), commonest, weak)
    right = [(each.argmax(axis=-1) == truth).astype(np.float64)[..., None] for each in (weak, strong, ceiling)]
    found = recovered("accuracy", accuracy_of, *right)
    for kind in ("weak", "strong", "ceiling", "gain"):
        yield estimated(
            f"{name}: {kind}", getattr(found, kind), "accuracy" if kind != "gain" else "difference of accuracy"
        )
    if found.pgr is not None:
        yield estimated(f"{name}: PGR", found.pgr, "share of the gap")
    else:
        yield estimated(f"{name}: gap, no PGR: {found.hidden}", found.gap, "difference of accuracy")
    share, count = when_they_differ(strong.argmax(-1), weak.argmax(-1), right[1][..., 0])
    if count:
        yield estimated(f"{name}: right where they differ ({count})", share, "share of rows")
