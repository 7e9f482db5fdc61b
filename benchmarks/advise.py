"""The advisor on real text classification: accuracy of every candidate on the official test sets, and the verdict.

With `--data`: banking77 (77 intents, official test), TREC (6 question types, official test), SST-2 (official test).
Without, or with `--quick`: the embedded support messages. The large model is the embedded SmolLM2-135M-Instruct, asked
about a seeded sample; every value comes with its 95% interval and the number of rows that it rests on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from pilotfish.compete.advise import Advice, Settings, advise
from pilotfish.compete.task import text_task
from pilotfish.compete.watch import Watch
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.rows.read import read

SUPPORT = Path(__file__).resolve().parents[1] / "examples" / "support"
TREC_NAMES = {
    "0": "description or definition",
    "1": "entity or thing",
    "2": "abbreviation",
    "3": "person or group",
    "4": "location",
    "5": "number or date",
}


@dataclass(frozen=True)
class Set:
    """A data set: where it is and how it is read."""

    name: str
    train: Path
    test: Path | None
    text: str
    label: str
    unlabelled: Path | None = None
    read: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


def sets(data: Path | None, quick: bool) -> Iterator[Set]:
    """Yield the data sets that are there."""
    if data is None or quick:
        yield Set("support", SUPPORT / "labelled.jsonl", None, "text", "intent", SUPPORT / "unlabelled.jsonl")
        return
    banking, sent = data / "banking77", data / "sent_conv"
    lines = {"format": "labelled-lines"}
    yield Set("banking77", banking / "train.csv", banking / "test.csv", "text", "category")
    yield Set(
        "trec",
        sent / "TREC.train.all",
        sent / "TREC.test.all",
        "text",
        "label",
        read=lines | {"encoding": "latin-1"},
        names=TREC_NAMES,
    )
    movies = {"0": "negative", "1": "positive"}
    yield Set("sst2", sent / "stsa.binary.train", sent / "stsa.binary.test", "text", "label", read=lines, names=movies)


def measure(one: Set, max_seconds: float) -> Advice:
    """Advise on a data set."""
    task = text_task(
        list(read(one.train, **one.read)),
        text=one.text,
        label=one.label,
        test=list(read(one.test, **one.read)) if one.test else None,
        unlabelled=list(read(one.unlabelled, **one.read)) if one.unlabelled else (),
        names=one.names,
    )
    small, large = Encoder("all-minilm-l6-v2"), LocalModel("smollm2-135m-instruct")
    return advise(task, small, large, Settings(max_seconds=max_seconds), watch=Watch(Console(stderr=True)))


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return a case for each candidate of each set, and one for the verdict's time and memory."""
    cases: list[dict[str, Any]] = []
    for one in sets(data, quick):
        started = time.perf_counter()
        advice = measure(one, 50.0 if quick else 840.0)
        for candidate in advice.candidates:
            accuracy = candidate.accuracy
            cases.append(
                {
                    "case": f"{one.name}: {candidate.title}",
                    "value": round(accuracy.value, 4),
                    "low": round(accuracy.low, 4),
                    "high": round(accuracy.high, 4),
                    "unit": "accuracy",
                    "n": accuracy.n,
                    "seconds_per_1000": None if candidate.seconds is None else round(candidate.seconds * 1000, 4),
                }
            )
        if advice.distilled is not None:
            gain, details = advice.distilled.gain, advice.distilled.candidate.details
            cases.append(
                {
                    "case": f"{one.name}: {advice.distilled.candidate.title}, over the same without the large model's",
                    "value": round(gain.value, 4),
                    "low": round(gain.low, 4),
                    "high": round(gain.high, 4),
                    "unit": "accuracy, paired difference",
                    "n": gain.n,
                    "alpha": advice.distilled.alpha,
                    "teacher_calls": details["teacher_calls"],
                    "teacher_seconds": round(details["teacher_seconds"], 1),
                }
            )
        crossing = advice.crossings.get(advice.small.key)
        cases.append(
            {
                "case": f"{one.name}: verdict",
                "answer": advice.verdict.answer,
                "settled": advice.verdict.settled,
                "labels_a_class_to_overtake": None if crossing is None else crossing.to_json(),
                "unit": "seconds",
                "value": round(time.perf_counter() - started, 1),
                "peak_gib": round(advice.reading.peak_memory / 2**30, 2),
                "n": len(advice.task.test),
            }
        )
    return {"name": "advise", "cases": cases}
