"""Promises kept: over many random splits of recorded answers, how often is the realised quality below the promised one?

Recorded: GSM8K's 6B and 175B solutions (sorted by whether two of the small model's answers agree), RouteLLM's GSM8K
(Mixtral-8x7B and GPT-4) and LLMRouter's smallest and largest of nine (both sorted by a router that did not learn from
the row). Each split draws rows to propose and to test by, and all the other rows tell what was realised: quality as a
share of the strong model's, for a promise of the long run and for one of exactly so many requests. The rows left over
are not the long run: their own chance is counted against the promise too.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from benchmarks._recorded import GPT4, MIXTRAL, gsm8k_pair, llmrouter, routed, solutions
from benchmarks._result import Cases
from pilotfish.infer.calibrate import Promise, threshold

if TYPE_CHECKING:
    from pilotfish.infer.trial import Trials

SPLITS = 200
ROWS = 600  # of a split: a sixth proposes, the rest tests
SHARES = (0.9, 0.95)
RISK = 0.1
METHODS: tuple[Literal["finite", "normal"], ...] = ("finite", "normal")


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return, for each set and promise, how often it was broken, and what it cost to keep."""
    if data is None:
        return {"name": "calibrate", "peer": "not run: give --data (gsm8k, routellm, llmrouter)", "cases": []}
    cases = Cases("calibrate", quick=quick)
    small, large = "mistral-7b-instruct-v0.3", "llama-3.3-nemotron-super-49b-v1"
    sets = {
        "GSM8K, 6B then 175B": solutions(data)[0],
        "GSM8K, Mixtral or GPT-4": routed(gsm8k_pair(data), MIXTRAL, GPT4),
        "LLMRouter, 7B or 49B": routed(llmrouter(data)[0], small, large),
    }
    splits = 20 if quick else SPLITS
    for name, trials in sets.items():
        for share in SHARES:
            for method in METHODS:
                for horizon in (None, len(trials) - ROWS):
                    cases.add(kept(name, trials, Promise("quality", share, RISK, horizon, method), splits))
    return {"name": "calibrate", "peer": "the stated risk", "cases": cases.found}


def kept(name: str, trials: Trials, promise: Promise, splits: int) -> list[dict[str, Any]]:
    """Return how often a promise was broken on the rows left over, and the mean share of calls that it took."""
    broken, calls = 0, []
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(len(trials))
        propose, test, left = order[: ROWS // 6], order[ROWS // 6 : ROWS], order[ROWS:]
        above = threshold(trials.take(test), trials.scores[test], trials.scores[propose], promise)
        outcome = trials.take(left).cascaded(above)
        broken += float(outcome.quality.mean()) < promise.share * float(trials.grades[left, 1].mean()) - 1e-12
        calls.append(float((outcome.answered == 1).mean()))
    share = broken / splits
    # Wilson's interval: shares near 0 have one too.
    z = 1.96
    middle, wide = share + z * z / (2 * splits), z * math.sqrt(share * (1 - share) / splits + (z / (2 * splits)) ** 2)
    ends = [(middle + sign * wide) / (1 + z * z / splits) for sign in (-1, 1)]
    when = "long run" if promise.horizon is None else f"next {promise.horizon}"
    title = f"{name}, {promise.share:g} of the strong model's quality, {when}, {promise.method}"
    unit = f"share of splits in which it was broken; promised at most {promise.risk:g}"
    told = {"value": round(share, 3), "low": round(max(0.0, ends[0]), 3), "high": round(ends[1], 3)}
    mean = round(float(np.mean(calls)), 3)
    return [
        {"case": f"{title}: broken", **told, "unit": unit, "n": splits},
        {"case": f"{title}: calls", "value": mean, "unit": "share of calls to the strong model", "n": splits},
    ]
