"""What a small model of a domain does for Qwen2.5-Coder-1.5B (int8), which stays frozen: PubMedQA, yes, no or maybe.

A card: SmolLM2-135M learns to write the abstract (without its conclusion) of 450 questions that are in nobody's test;
100 of the official test questions are asked closed-book, with a note of the card, with one of SmolLM2 as it is, and, as
what could be gained, with the abstract itself. An energy: MiniLM learns to tell right from wrong among four reasoned
answers to each of 150 training questions, in two rounds; of four new answers to each test question it picks one, beside
the first one, the vote of the four, and whether any of them is right. Accuracy with intervals, paired differences.
Cards, energies and answers are kept (`.bench/knowledge`). `--quick` has SmolLM2-135M answer eight questions, a card of
a few steps.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import Cases, estimated
from benchmarks.rag import WORD, Question, first_word
from pilotfish.adapt.adapted import online
from pilotfish.adapt.energy import Energy
from pilotfish.adapt.expert import Tuning, tune
from pilotfish.adapt.knowledge import Brevity, Card, Knowing
from pilotfish.adapt.knowledge.card import PROMPT
from pilotfish.measure.intervals import paired_bootstrap, wilson
from pilotfish.model import Model, Request
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.rows.asking import asked
from pilotfish.train.settings import Fit

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "knowledge"
MODEL, SMALL, ENCODER = "qwen2.5-coder-1.5b-instruct", "smollm2-135m-instruct", "all-minilm-l6-v2"
ASKED, LEARNT, DRAWS, TOKENS = 100, 150, 4, 72
CARD = Tuning(rate=5e-4, epochs=1, batch_tokens=2048, length=384, max_tokens=80_000, held_out=0.1)
ENERGY = Fit(epochs=3, batch_tokens=2048, rate=5e-5, decay=0.01, dtype="float32")
REASONED = "\n\nReason in two short sentences. End with one line: Answer: yes, Answer: no or Answer: maybe."
WORDS = ("yes", "no", "maybe")
Floats = NDArray[np.float64]


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return accuracies with and without what small models know."""
    if data is None:
        return {"name": "knowledge", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("knowledge", quick=quick)
    runs = RUNS / ("quick" if quick else "whole")
    learn, test, contexts = parts(data)
    learn, test = (learn[:40], test[:8]) if quick else (learn, test[:ASKED])
    model = LocalModel(SMALL if quick else MODEL, quantize="int8")
    cases.add(cards(model, learn, test, contexts, runs, quick=quick))
    cases.add(energies(model, learn[: 8 if quick else LEARNT], test, runs, quick=quick))
    return {"name": "knowledge", "peer": "the frozen model alone", "cases": cases.found}


def parts(data: Path) -> tuple[list[Question], list[Question], dict[str, str]]:
    """Return questions to learn from, the official test's, and the abstracts of both by their documents."""
    rows = json.loads((data / "pubmedqa" / "ori_pqal.json").read_text(encoding="utf-8"))
    official = json.loads((data / "pubmedqa" / "test_ground_truth.json").read_text(encoding="utf-8"))
    found = {id: Question(row["QUESTION"], (row["final_decision"],), id) for id, row in rows.items()}
    test, learn = [found[id] for id in official], [one for id, one in found.items() if id not in official]
    for some in (learn, test):
        random.Random(0).shuffle(some)
    return learn, test, {id: " ".join(row["CONTEXTS"]) for id, row in rows.items()}


def cards(
    model: LocalModel,
    learn: Sequence[Question],
    test: Sequence[Question],
    contexts: dict[str, str],
    runs: Path,
    *,
    quick: bool,
) -> Iterator[dict[str, Any]]:
    """Yield the accuracies with a card's notes."""
    how = Tuning(**{**CARD.__dict__, "max_tokens": 1500, "batch_tokens": 512}) if quick else CARD
    texts = [contexts[one.document] for one in learn]
    prompts = [PROMPT.replace("{question}", one.text) for one in learn]
    report = tune(SMALL, texts, runs / "card", how, prompts=prompts)
    yield estimated("the card: nats a token gained on held-out abstracts", report.gain, "nats")
    brief = (Brevity(Encoder(ENCODER), words=90),)
    ways: dict[str, Model] = {"closed-book": model}
    for name, weights in (("with the card's note", str(runs / "card")), ("with a note of SmolLM2 as it is", SMALL)):
        card = Card(LocalModel(weights, name="card"), max_tokens=128)
        ways[name] = Knowing(model, (card,), brief, name=name)
    hits = {}
    for name, way in ways.items():
        said = answered(way, [one.text + WORD for one in test], runs / name.replace(" ", "-"), 8)
        hits[name] = np.array([first_word(text, one.truths) for text, one in zip(said, test, strict=True)])
    shown = [f"{contexts[one.document]}\n\n{one.text}{WORD}" for one in test]
    said = answered(model, shown, runs / "abstract", 8)
    hits["with the abstract itself"] = np.array(
        [first_word(text, one.truths) for text, one in zip(said, test, strict=True)]
    )
    commonest = Counter(one.truths[0] for one in learn).most_common(1)[0][0]
    hits[f"always {commonest!r}, learn's commonest"] = np.array([float(commonest in one.truths) for one in test])
    yield from compared(hits, "closed-book")


def energies(
    model: LocalModel, learn: Sequence[Question], test: Sequence[Question], runs: Path, *, quick: bool
) -> Iterator[dict[str, Any]]:
    """Yield the accuracies of answers that an energy picks."""

    def made(number: int) -> Energy:
        how = Fit(**{**ENERGY.__dict__, "steps": 2}) if quick else ENERGY
        return Energy(Encoder(ENCODER), how, folder=runs / f"energy-{number}")

    def right(at: int, text: str) -> bool:
        return last_word(text) in learn[at].truths

    prompts = [one.text + REASONED for one in learn]
    given = [f"Answer: {one.truths[0]}" for one in learn]
    energy, rounds = online(
        model, prompts, right, made, runs / "online", given=given, draws=DRAWS, max_tokens=TOKENS, concurrency=32
    )
    for each in rounds:
        yield {"case": f"energy, round {each.number}: rows", "value": each.rows, "unit": "rows", "n": len(prompts)}
    if energy.report_.first is not None:
        yield estimated("energy: the right answer first, held-out prompts", energy.report_.first, "share")
    questions = [one.text + REASONED for one in test for _ in range(DRAWS)]
    said = answered(model, questions, runs / "draws", TOKENS, draws=DRAWS)
    groups = [said[at : at + DRAWS] for at in range(0, len(said), DRAWS)]
    hits: dict[str, list[float]] = {}
    for one, texts in zip(test, groups, strict=True):
        words = [last_word(text) for text in texts]
        scores = energy(one.text + REASONED, texts)
        picked = {
            "the first of four answers": words[0],
            "the vote of four answers": Counter(words).most_common(1)[0][0],
            "the one of four that the energy picks": words[int(np.argmax(scores))],
        }
        for name, word in picked.items():
            hits.setdefault(name, []).append(float(word in one.truths))
        hits.setdefault("any of four answers", []).append(float(any(word in one.truths for word in words)))
    yield from compared({name: np.array(each) for name, each in hits.items()}, "the first of four answers")


def answered(model: Model, questions: Sequence[str], folder: Path, tokens: int, *, draws: int = 0) -> list[str]:
    """Return answers, greedy ones or draws; each is asked for once."""
    asking = [
        (Request.of(text, temperature=1.0 if draws else 0.0, max_tokens=tokens, seed=7000 + at if draws else None), 0)
        for at, text in enumerate(questions)
    ]
    return ["" if one is None else one.text for one in asked(model, asking, folder, concurrency=32).said]


def last_word(text: str) -> str:
    """Return which of yes, no and maybe an answer says last; "" where it says none."""
    words = [word.strip(".,:;!?*'\"()") for word in text.casefold().split()]
    return next((word for word in reversed(words) if word in WORDS), "")


def compared(hits: dict[str, Floats], base: str) -> Iterator[dict[str, Any]]:
    """Yield each way's accuracy, and how far it lies above another's."""
    for name, each in hits.items():
        yield estimated(f"PubMedQA, {name}: accuracy", wilson(float(each.sum()), len(each)), "accuracy")
        if name != base:
            yield estimated(f"PubMedQA, {name}, over {base}", paired_bootstrap(each, hits[base]), "difference")
