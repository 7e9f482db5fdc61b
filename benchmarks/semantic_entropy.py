"""Semantic entropy against token entropy: which tells Qwen2.5-Coder-1.5B's wrong answers on GSM8K from its right ones.

150 questions of GSM8K's test half, drawn with a seed. The model (int8) answers each greedily, and that answer is right
where its last number is the truth's; then six times at temperature 1. Answers mean the same where their last numbers
are equal: the rule for sums, as entailment is for sentences. Token entropy is the mean over the greedy answer's tokens,
from the 20 likeliest of each; sequence entropy the mean of -log p of the samples, as it is and a token. P(True) is the
model's own word on its greedy answer, shown the samples. AUROC and PRR of each against right and wrong, and the
difference of areas to token entropy on the same questions. Answers are kept (`.bench/semantic-entropy`). `--quick` has
SmolLM2-135M add eight pairs of numbers.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import Cases, estimated
from pilotfish.evaluate.uncertainty import (
    auroc,
    clusters,
    degree,
    discrete_semantic_entropy,
    eigenvalues,
    entailments,
    kernel_entropy,
    lexical_similarity,
    prr,
    sampled_entropy,
    semantic_entropy,
    token_entropy,
)
from pilotfish.evaluate.yes_no import p_true
from pilotfish.measure.answers import answer_by
from pilotfish.measure.curve import area
from pilotfish.measure.intervals import bootstrap, wilson
from pilotfish.model import Model, Request
from pilotfish.models.local import LocalModel
from pilotfish.rows._row import Row
from pilotfish.rows.run import read_output, run
from pilotfish.rows.stage import AsyncStage

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "semantic-entropy"
MODEL, SMALL = "qwen2.5-coder-1.5b-instruct", "smollm2-135m-instruct"
QUESTIONS, SAMPLES, TOKENS, TOP = 150, 6, 200, 20
ASKED = "\n\nThink in a few short steps. End with one line: Answer: <number>"
BASE = "token entropy"
number_of = answer_by("last-number")
Floats = NDArray[np.float64]


class Answering(AsyncStage):
    """Answers a question greedily (sample -1) or by a draw, and notes what uncertainty needs."""

    def __init__(self, model: Model, concurrency: int = 32) -> None:
        self.model, self.concurrency = model, concurrency

    @property
    def title(self) -> str:
        """The stage and its model."""
        return f"Answering({self.model.name}, {TOKENS} tokens)"

    async def each(self, row: Row) -> Row:
        """Return the answer with its log-probability, its tokens, and of a greedy one its token entropy."""
        greedy = row["sample"] < 0
        how = {"temperature": 0.0, "top_logprobs": TOP} if greedy else {"temperature": 1.0, "seed": row["sample"]}
        reply = await self.model.reply(Request.of(row["question"] + ASKED, max_tokens=TOKENS, logprobs=True, **how))
        tokens = reply.logprobs or ()
        return {
            "number": row["number"],
            "sample": row["sample"],
            "text": reply.text.strip(),
            "tokens": len(tokens),
            "logprob": sum(token.logprob for token in tokens),
            "entropy": token_entropy(tokens) if greedy else None,
            "finish": reply.finish_reason,
        }


@dataclass(frozen=True)
class Asked:
    """A question with what was answered: the greedy answer, and the draws."""

    question: str
    truth: str
    greedy: Row
    drawn: list[Row]

    @property
    def right(self) -> bool:
        """Whether the greedy answer's number is the truth's."""
        return number_of(self.greedy["text"]) == self.truth


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return what each uncertainty is worth, and how far it lies above token entropy."""
    if data is None and not quick:
        return {"name": "semantic-entropy", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("semantic-entropy", quick=quick)
    questions = sums() if quick or data is None else gsm8k(data)
    model = LocalModel(SMALL if quick else MODEL, quantize="int8")
    asked = answered(model, questions, RUNS / ("quick" if quick else "whole"), 3 if quick else SAMPLES)
    cases.add(judged(asked, uncertainties(asked) | {"P(True)": -believed(model, asked)}))
    return {"name": "semantic-entropy", "peer": "token entropy", "cases": cases.found}


def gsm8k(data: Path) -> list[tuple[str, str]]:
    """Return questions with their numbers."""
    lines = (data / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    rows = random.Random(0).sample([json.loads(line) for line in lines], QUESTIONS)
    return [(row["question"], number_of(row["answer"])) for row in rows]


def sums() -> list[tuple[str, str]]:
    """Return eight questions with their numbers, four of them beyond a small model."""
    pairs = [(1, 1), (2, 3), (4, 4), (5, 1), (317, 486), (928, 773), (4821, 3976), (651, 999)]
    return [(f"What is {a} + {b}?", str(a + b)) for a, b in pairs]


def answered(model: Model, questions: Sequence[tuple[str, str]], folder: Path, samples: int) -> list[Asked]:
    """Return each question with its answers; each is asked for once."""
    rows: list[Row] = [
        {"number": number, "sample": sample, "question": question}
        for number, (question, _) in enumerate(questions)
        for sample in range(-1, samples)
    ]
    run(rows, Answering(model), folder, shard_rows=72)
    said = {(row["number"], row["sample"]): row for row in read_output(folder)}
    return [
        Asked(question, truth, said[number, -1], [said[number, sample] for sample in range(samples)])
        for number, (question, truth) in enumerate(questions)
    ]


def uncertainties(asked: Sequence[Asked]) -> dict[str, Floats]:
    """Return the ways to be unsure, each a number a question: higher is less sure."""
    found: dict[str, list[float]] = {}
    for one in asked:
        texts = [row["text"] for row in one.drawn]
        logs = np.array([row["logprob"] for row in one.drawn])
        lengths = np.array([max(1, row["tokens"]) for row in one.drawn])
        alike = entailments(texts, same_number)
        groups = clusters(alike)
        greedy = one.greedy
        ways = {
            BASE: greedy["entropy"],
            "-log p of the greedy answer": -greedy["logprob"],
            "-log p a token of the greedy answer": -greedy["logprob"] / max(1, greedy["tokens"]),
            "sequence entropy": sampled_entropy(logs),
            "sequence entropy a token": sampled_entropy(logs, lengths),
            "1 - lexical similarity": 1 - lexical_similarity(texts),
            "semantic entropy, discrete": discrete_semantic_entropy(groups),
            "semantic entropy, by likelihood": semantic_entropy(groups, logs, answers=texts),
            "semantic entropy, by likelihood a token": semantic_entropy(groups, logs / lengths, answers=texts),
            "eigenvalues": eigenvalues(alike),
            "degree": degree(alike),
            "kernel entropy": kernel_entropy(alike),
        }
        for way, value in ways.items():
            found.setdefault(way, []).append(float(value))
    return {way: np.array(values) for way, values in found.items()}


def same_number(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Say that an answer entails another where their last numbers are equal; one without a number has none like it."""
    return [float(number_of(one) == number_of(other) != "") for one, other in pairs]


def believed(model: LocalModel, asked: Sequence[Asked]) -> Floats:
    """Return how likely the model finds its greedy answers true, shown what it said else."""
    ends = [[_end(row["text"]) for row in one.drawn] for one in asked]
    found: Floats = p_true(model, [one.question for one in asked], [_end(one.greedy["text"]) for one in asked], ends)
    return found


def _end(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "(nothing)"


def judged(asked: Sequence[Asked], ways: dict[str, Floats]) -> Iterator[dict[str, Any]]:
    """Yield the share that is right, and of each way AUROC, PRR, and the difference of areas to token entropy."""
    right = np.array([one.right for one in asked])
    yield estimated("greedy answers that are right", wilson(float(right.sum()), len(right)), "share")
    cut = sum(row["finish"] == "length" for one in asked for row in [one.greedy, *one.drawn])
    answers = sum(1 + len(one.drawn) for one in asked)
    yield {"case": "answers cut at the most tokens", "value": cut / answers, "unit": "share", "n": answers}
    for way, values in ways.items():
        yield estimated(f"{way}: AUROC", auroc(values, right), "area")
        yield estimated(f"{way}: PRR", prr(values, right.astype(float)), "ratio")
        if way != BASE:
            table = np.stack([values, ways[BASE], right.astype(float)], axis=1)
            above = bootstrap(table, _above, resamples=2000, method="percentile")
            yield estimated(f"{way}: area above token entropy's", above, "difference of areas")


def _above(table: Floats) -> float:
    wrong = table[:, 2] == 0
    if wrong.all() or not wrong.any():  # a draw in which all are alike says nothing
        return 0.0
    return area(table[:, 0], wrong) - area(table[:, 1], wrong)
