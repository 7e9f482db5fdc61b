"""Small reward models taught people's preferences: pairs of unseen prompts, and the best of up to 64 answers.

The preferences of `llms_from_scratch_instr` (1,100, of which those with two different answers), split by instruction.
All of the 70% that are learnt teach MiniLM; then 100 of them teach it apart, and the others teach SmolLM2-135M by
adapters, its last token's state read. Accuracy is on pairs of the other instructions, beside taking the longer answer
and the shorter one. Then SmolLM2-135M-Instruct answers 32 of those instructions 64 times each (temperature 1): the best
of n by the reward of 100 pairs, and what the larger one, which has learnt from other pairs, gives it (Gao et al. 2023
have a larger reward stand for people in the same way). Rewards are in that model's standard deviations over all
answers. Models and answers are kept (`.bench/best-of-n`). `--quick` takes 24 pairs, 2 prompts and 8 answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import Cases, estimated
from pilotfish.measure.intervals import paired_bootstrap, wilson
from pilotfish.model import Request
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.rows.asking import asked
from pilotfish.rows.split import split
from pilotfish.supervise.reward import RewardModel, best_of_curve
from pilotfish.train.lm_encoder import encoder_of_lm
from pilotfish.train.reward import FIT, Pair
from pilotfish.train.settings import Fit

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "best-of-n"
ENCODER, SMALL = "all-minilm-l6-v2", "smollm2-135m-instruct"
FEW, PROMPTS, ANSWERS, TOKENS = 100, 32, 64, 48
LORA = Fit(epochs=1, batch_tokens=1024, rate=5e-4, rank=8, dtype="float32")
Floats = NDArray[np.float64]


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return the accuracies, and the curve of the best of n."""
    if data is None:
        return {"name": "best-of-n", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("best-of-n", quick=quick)
    runs = RUNS / ("quick" if quick else "whole")
    learn, test = parts(data)
    if quick:
        learn, test = learn[:24], test[:24]
    few = learn[: len(learn) // 3 if quick else FEW]
    minilm = replace(FIT, steps=2) if quick else FIT
    wide = runs / "smollm2-last"
    if not (wide / "modules.json").exists():
        encoder_of_lm(SMALL, wide, max_length=192, pooling="last")
    mine = taught(Encoder(ENCODER), minilm, learn, runs / "minilm-all")
    proxy = taught(Encoder(ENCODER), minilm, few, runs / "minilm-few")
    gold = taught(Encoder(wide), replace(LORA, steps=2) if quick else LORA, learn[len(few) :], runs / "smollm2-others")
    named = {
        f"MiniLM, {len(learn)} pairs": mine,
        f"MiniLM, {len(few)} pairs": proxy,
        f"SmolLM2-135M, {len(learn) - len(few)} other pairs": gold,
    }
    cases.add(compared(named, test))
    prompts = list(dict.fromkeys(pair.prompt for pair in test))[: 2 if quick else PROMPTS]
    cases.add(curve(prompts, 8 if quick else ANSWERS, proxy, gold, runs))
    return {"name": "best-of-n", "peer": "taking the longer answer, or the shorter", "cases": cases.found}


def parts(data: Path) -> tuple[list[Pair], list[Pair]]:
    """Return pairs to learn from and to test on, of different instructions."""
    file = data / "llms_from_scratch_instr" / "04_preference-tuning-with-dpo" / "instruction-data-with-preference.json"
    rows = [row for row in json.loads(file.read_text(encoding="utf-8")) if row["chosen"] != row["rejected"]]
    pairs = [Pair(f"{row['instruction']}\n{row['input']}".strip(), row["chosen"], row["rejected"]) for row in rows]
    sides = split(len(rows), {"learn": 0.7, "test": 0.3}, 0, group=[row["instruction"] for row in rows])
    return [pairs[i] for i in sides["learn"]], [pairs[i] for i in sides["test"]]


def taught(encoder: Encoder, how: Fit, pairs: Sequence[Pair], folder: Path) -> RewardModel:
    """Return a reward model; it is taught once."""
    if not (folder / "reward.json").exists():
        RewardModel(encoder, how, held_out=0.0, folder=folder / "run").fit(pairs).save(folder)
    return RewardModel.load(folder)


def compared(models: dict[str, RewardModel], test: Sequence[Pair]) -> Iterator[dict[str, Any]]:
    """Yield how often each prefers as people do, a tie counted half, and what lengths alone would give."""
    gaps = {
        "the longer answer": np.array([float(len(pair.chosen) - len(pair.rejected)) for pair in test]),
        "the shorter answer": np.array([float(len(pair.rejected) - len(pair.chosen)) for pair in test]),
    }
    for name, model in models.items():
        rewards = np.array([model(pair.prompt, [pair.chosen, pair.rejected]) for pair in test])
        gaps[name] = rewards[:, 0] - rewards[:, 1]
    hits = {name: (gap > 0) + (gap == 0) / 2 for name, gap in gaps.items()}
    for name, each in hits.items():
        yield estimated(f"prefers as people do: {name}", wilson(float(each.sum()), len(each)), "share of pairs")
    base = max(("the longer answer", "the shorter answer"), key=lambda name: float(hits[name].mean()))
    for name in models:
        yield estimated(f"{name}, beside {base}", paired_bootstrap(hits[name], hits[base]), "difference of shares")


def curve(
    prompts: Sequence[str], answers: int, proxy: RewardModel, gold: RewardModel, runs: Path
) -> Iterator[dict[str, Any]]:
    """Yield what the best of n by one reward is worth by it and by the other."""
    model = LocalModel(SMALL)
    asking = [
        (Request.of(prompt, temperature=1.0, max_tokens=TOKENS, seed=number), number)
        for prompt in prompts
        for number in range(answers)
    ]
    said = asked(model, asking, runs / "answers", concurrency=answers).said
    texts = np.array(["" if one is None else one.text for one in said], dtype=object).reshape(len(prompts), answers)
    tables = []
    for reward in (proxy, gold):
        found = np.array([reward(prompt, list(row)) for prompt, row in zip(prompts, texts, strict=True)])
        tables.append((found - found.mean()) / found.std())
    for one in best_of_curve(tables[0], tables[1]):
        small = f"best of {one.n}: the small reward ({one.divergence:.2f} nats)"
        yield estimated(small, one.proxy, "standard deviations")
        yield estimated(f"best of {one.n}: the larger reward", one.gold, "standard deviations")
    agreed = [float(np.corrcoef(mine, theirs)[0, 1]) for mine, theirs in zip(*tables, strict=True)]
    title = "correlation of both over a prompt's answers"
    yield {"case": title, "value": float(np.mean(agreed)), "unit": "Pearson's r", "n": len(agreed)}
