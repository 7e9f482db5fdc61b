"""Cascades: how well each sign of confidence sorts a small model's answers.

Live: HumanEval by Qwen2.5-Coder 0.5B and 1.5B in int8, greedy, each answer run against its unit tests in the sandbox;
the deferral curve of every signal, its APGR beside random order, the prompt's length and the oracle. The learned head
is scored by five-fold cross-validation; self-verification asks the small model once more. Recorded: GSM8K's 6B and 175B
solutions, where two samples' agreement is judged too. Programs agree where they differ in names and layout alone.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks._recorded import solutions
from benchmarks._result import Cases
from pilotfish.infer.accept import SCORES, quantile_logprob
from pilotfish.infer.consistency import Agreement
from pilotfish.infer.deferral_head import DeferralHead
from pilotfish.infer.selfverify import SelfVerification
from pilotfish.infer.signals import signals
from pilotfish.measure.answers import code_of
from pilotfish.measure.checks import Verdict
from pilotfish.measure.deferral import judge
from pilotfish.measure.folds import folds
from pilotfish.measure.intervals import bootstrap
from pilotfish.measure.sandbox import run_python
from pilotfish.model import Reply, Request
from pilotfish.models.local import LocalModel

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SMALL, LARGE, QUICK = "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct", "smollm2-135m-instruct"
TOKENS = 384


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return both models' pass rates, and how each signal sorts."""
    if data is None:
        return {"name": "cascade", "peer": "not run: give --data (humaneval, gsm8k)", "cases": []}
    cases = Cases("cascade", quick=quick)
    cases.add(live(data, quick))
    trials, found = solutions(data)
    cases.add(sorted_by("GSM8K recorded, 6B then 175B", found, trials.texts, trials.grades, 200 if quick else 2000))
    return {"name": "cascade", "peer": "random order, prompt length, oracle", "cases": cases.found}


def live(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Ask both models, run the tests, and judge the signals."""
    with gzip.open(data / "humaneval" / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file][: 12 if quick else None]
    ask = "Complete this Python function. Answer with the whole function in one code block.\n\n```python\n{}```"
    requests = [
        Request.of(ask.format(row["prompt"]), max_tokens=64 if quick else TOKENS, temperature=0) for row in rows
    ]
    small = LocalModel(QUICK if quick else SMALL, quantize="int8", threads=2, max_rows=8)
    said = asyncio.run(_all(small, [one.with_(logprobs=True, top_logprobs=2) for one in requests]))
    scores = asyncio.run(_scores(small, requests, said))
    del small
    large = LocalModel(QUICK if quick else LARGE, quantize="int8", threads=2, max_rows=8)
    better = asyncio.run(_all(large, requests))
    grades = np.array([[passes(row, reply) for reply in pair] for row, *pair in zip(rows, said, better, strict=True)])
    if quick:  # one model stands for both: only the path is shown, on made-up grades
        grades[:, 1] = np.maximum(grades[:, 1], np.arange(len(rows)) % 2)
    shown = np.array([signals(reply.logprobs or ()) for reply in said])
    texts = [row["prompt"] for row in rows]
    if not quick:
        scores["learned head, 5-fold"] = _learned(texts, shown, grades[:, 0])
    return sorted_by("HumanEval, 0.5B then 1.5B", scores, texts, grades, 200 if quick else 2000)


async def _all(model: LocalModel, requests: Sequence[Request]) -> list[Reply]:
    return list(await asyncio.gather(*(model.reply(request) for request in requests)))


async def _scores(model: LocalModel, requests: Sequence[Request], said: Sequence[Reply]) -> dict[str, ArrayLike]:
    """Return each signal's score of each reply, the more the surer."""
    tokens = [reply.logprobs or () for reply in said]
    scores: dict[str, ArrayLike] = {name: [score(row) for row in tokens] for name, score in SCORES.items()}
    for quantile in (0.1, 0.25):
        scores[f"quantile-logprob {quantile}"] = [quantile_logprob(row, quantile) for row in tokens]
    look = SelfVerification(model, 0.5)
    verdicts: list[Verdict] = await asyncio.gather(*(look(*pair) for pair in zip(requests, said, strict=True)))
    scores["self-verification"] = [verdict.score or 0.0 for verdict in verdicts]
    vote = Agreement(model, 0.5, samples=5, answer="python")
    verdicts = await asyncio.gather(*(vote(*pair) for pair in zip(requests, said, strict=True)))
    scores["agreement of 5 samples"] = [verdict.score or 0.0 for verdict in verdicts]
    return scores


def passes(row: dict[str, Any], reply: Reply) -> float:
    """Return 1 where the reply's code passes the row's tests; the prompt stands before it for its imports."""
    code = f"{row['prompt']}    pass\n\n{code_of(reply.text)}\n\n{row['test']}\n\ncheck({row['entry_point']})\n"
    return float(run_python(code, seconds=10).passed)


def _learned(texts: Sequence[str], shown: NDArray[np.float64], grades: NDArray[np.float64]) -> NDArray[np.float64]:
    found = np.empty(len(texts))
    for learn, held in folds(np.arange(len(texts))):
        head = DeferralHead().fit([texts[int(i)] for i in learn], shown[learn], grades[learn])
        found[held] = head.predict([texts[int(i)] for i in held], shown[held])
    return found


def sorted_by(
    title: str, scores: dict[str, Any], texts: Sequence[str], grades: NDArray[np.float64], resamples: int
) -> list[dict[str, Any]]:
    """Return the two models' quality, and every signal's APGR and CPT."""
    cases = []
    for name, column in zip(("small", "large"), grades.T, strict=True):
        mean = bootstrap(column)
        ends = {"value": mean.value, "low": mean.low, "high": mean.high}
        cases.append({"case": f"{title}: {name} model alone", **ends, "unit": "share right", "n": len(column)})
    needs = {name: -np.asarray(score, np.float64) for name, score in scores.items()}
    lengths = [len(text) for text in texts]
    for one in judge(needs, grades[:, 0], grades[:, 1], lengths, resamples=resamples):
        for figure, interval in (("APGR", one.apgr), ("CPT(50%)", one.cpt50), ("CPT(80%)", one.cpt80)):
            ends = {"value": interval.value, "low": interval.low, "high": interval.high}
            unit = "share of the gap" if figure == "APGR" else "share of calls"
            cases.append({"case": f"{title}: {one.name}, {figure}", **ends, "unit": unit, "n": len(texts)})
    return cases
