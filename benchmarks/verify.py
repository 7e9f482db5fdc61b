"""A small verifier taught which solutions of school sums are right, against how likely the same model holds them.

GSM8K's recorded solutions: four to each question, of a 6B and a 175B model, each with and without a verifier of its
own. Of 800 questions 560 teach and 240 test. SmolLM2-135M reads each solution once; the mean of its states, its
log-probabilities and whether the sums hold are weighed (`AnswerVerifier`). Measured beside its mean log-probability
alone: the area under the ROC curve (also among solutions of one source, so that knowing the source is worth nothing),
accuracy of the accepted set by its share, the best of four, and asking the sources one after another until one is
accepted. Intervals draw questions. What was read is kept (`.bench/verify`). `--quick` takes 24 questions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import Cases, estimated
from pilotfish.measure.accepted import accepted_accuracy
from pilotfish.measure.curve import area
from pilotfish.measure.intervals import bootstrap, paired_bootstrap
from pilotfish.models.reader import Reader
from pilotfish.prompt.verify import AnswerVerifier, Judgement
from pilotfish.rows.split import split

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "verify"
SMALL, QUESTIONS, SEED = "smollm2-135m-instruct", 800, 11
SOURCES = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
SHARES = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
Floats = NDArray[np.float64]


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return areas, accepted sets and what choosing by each score gives."""
    if data is None:
        return {"name": "verify", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("verify", quick=quick)
    rows, source = solutions(data, 24 if quick else QUESTIONS)
    verifier = AnswerVerifier(Reader(SMALL, dtype="float32"), held_out=0.0, seed=SEED)
    x, likely = read(verifier, rows, RUNS / ("quick" if quick else "whole"))
    prompts = [row.prompt for row in rows]
    parts = split(len(rows), {"train": 0.7, "test": 0.3}, SEED, group=prompts)
    learnt, tested = parts["train"], parts["test"]
    verifier.fit([rows[i] for i in learnt], read=(x[learnt], likely[learnt]))
    scores = verifier.probability(x[tested])
    right = np.array([rows[i].right for i in tested], np.float64)
    groups = np.unique([prompts[i] for i in tested], return_inverse=True)[1]
    cases.add(compared(scores, likely[tested], right, source[tested], groups))
    return {"name": "verify", "peer": f"{SMALL}'s mean log-probability of the same solution", "cases": cases.found}


def solutions(data: Path, questions: int) -> tuple[list[Judgement], NDArray[np.int64]]:
    """Return the solutions of a seeded sample of questions, four to each, and the number of their source."""
    lines = (data / "gsm8k" / "example_model_solutions.jsonl").read_text(encoding="utf-8").splitlines()
    order = np.random.default_rng(SEED).permutation(len(lines))[:questions]
    rows, source = [], []
    for at in order.tolist():
        told = json.loads(lines[at])
        for number, name in enumerate(SOURCES):
            rows.append(Judgement(told["question"], told[name]["solution"], bool(told[name]["is_correct"])))
            source.append(number)
    return rows, np.array(source)


def read(verifier: AnswerVerifier, rows: list[Judgement], kept: Path) -> tuple[Floats, Floats]:
    """Return what the small model makes of each solution; a part that was read is kept."""
    parts = []
    for start in range(0, len(rows), 400):
        path = kept / f"{start}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            some = rows[start : start + 400]
            x, likely = verifier.features([(row.prompt, row.answer) for row in some])
            np.save(path.with_suffix(".tmp.npy"), np.concatenate([likely[:, None], x], axis=1), allow_pickle=False)
            path.with_suffix(".tmp.npy").replace(path)
        parts.append(np.load(path, allow_pickle=False))
    whole = np.concatenate(parts)
    return whole[:, 1:], whole[:, 0]


def compared(
    ours: Floats, likely: Floats, right: Floats, source: NDArray[np.int64], groups: NDArray[np.int64]
) -> Iterator[dict[str, Any]]:
    """Yield the cases; every statistic takes (rows, 3): score, right, source."""
    tables = [np.stack([scores, right, source], axis=1) for scores in (ours, likely)]
    names = ("verifier", "log-probability")
    settings: dict[str, Any] = {"resamples": 2000, "method": "percentile", "groups": groups}
    yield estimated("solutions that are right", bootstrap(right, resamples=2000, groups=groups), "share")
    statistics: dict[str, tuple[Any, str]] = {"area": (_area, "area under the ROC curve")}
    statistics["area among one source"] = (_area_within, "area under the ROC curve")
    for share in SHARES[:-1]:
        statistics[f"best {share:.0%}"] = (_accepted(share), "right, share")
    for title, (statistic, unit) in statistics.items():
        for name, table in zip(names, tables, strict=True):
            yield estimated(f"{title}, {name}", bootstrap(table, statistic, **settings), unit)
        yield estimated(f"{title}, difference", paired_bootstrap(tables[0], tables[1], statistic, **settings), unit)
    # A question's four solutions stand side by side.
    four = right.reshape(-1, len(SOURCES))
    found = {
        name: four[np.arange(len(four)), scores.reshape(four.shape).argmax(axis=1)]
        for name, scores in zip(names, (ours, likely), strict=True)
    }
    for number, name in enumerate(SOURCES):
        yield estimated(f"always {name}", bootstrap(four[:, number], resamples=2000), "right, share")
    yield estimated("any of the four", bootstrap(four.max(axis=1), resamples=2000), "right, share")
    for name in names:
        yield estimated(f"best of four, {name}", bootstrap(found[name], resamples=2000), "right, share")
    yield estimated("best of four, difference", paired_bootstrap(found[names[0]], found[names[1]]), "right, share")
    scores = ours.reshape(four.shape)
    for above in (0.5, 0.7):
        first = np.where((scores >= above).any(axis=1), (scores >= above).argmax(axis=1), -1)
        given = first >= 0
        yield {
            "case": f"retried until above {above}: answered",
            "value": float(given.mean()),
            "unit": "share of questions",
            "n": len(given),
        }
        if given.any():
            picked = four[np.flatnonzero(given), first[given]]
            yield estimated(f"retried until above {above}: right", bootstrap(picked, resamples=2000), "right, share")
            calls = float(np.where(given, first + 1, len(SOURCES)).mean())
            yield {
                "case": f"retried until above {above}: answers asked for",
                "value": calls,
                "unit": "a question",
                "n": len(given),
            }


def _area(rows: NDArray[Any]) -> float:
    good = rows[:, 1] > 0.5
    return area(rows[:, 0], good) if 0 < good.sum() < len(good) else 0.5


def _area_within(rows: NDArray[Any]) -> float:
    return float(np.mean([_area(rows[rows[:, 2] == number]) for number in range(len(SOURCES))]))


def _accepted(share: float) -> Any:
    return lambda rows: accepted_accuracy(rows[:, 0], rows[:, 1], share)
