"""White-box adaptation: how much of what tuning the large model gains does a small tuned expert give it?

A small model is tuned and steers the larger one, which stays frozen; the same texts, steps and settings tune the larger
one directly. On a task (TREC's types of questions): accuracy. On two domains (PubMedQA's contexts; Shakespeare's
plays): perplexity of held-out documents. Two ways to steer: proxy-tuning at fixed alphas, and a product of base, expert
and anti-expert with weights fitted on a few training rows. Each with the share of the direct gain that it reaches and
its paired bootstrap interval, and last whether speculative proxy-tuning gives the same tokens faster. Tuned weights are
kept under `.bench`, cases as they come in `.bench/cases`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import _steering_task, _steering_text
from benchmarks._result import Cases
from pilotfish.adapt.expert import TuneReport, Tuning, parted, tune
from pilotfish.decode.lockstep import Lockstep
from pilotfish.decode.rules import proxy_tuning
from pilotfish.models.local import LocalModel

if TYPE_CHECKING:
    from pilotfish.decode.strategy import Strategy

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / ".bench" / "adapt"
SMALL, LARGE = "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct"
TASK = "trec"
TUNINGS = {
    TASK: _steering_task.TUNING,
    "pubmedqa": Tuning(max_tokens=20_000, held_out=0.04, batch_tokens=1024, length=512, every=10),
    "tinyshakespeare": Tuning(max_tokens=10_000, held_out=0.05, batch_tokens=1024, length=512, every=10),
}
QUICK = {
    TASK: Tuning(max_tokens=300, held_out=0.1, batch_tokens=256, length=128),
    "pubmedqa": Tuning(max_tokens=600, held_out=0.01, batch_tokens=512, length=128),
}
PIECE = 384  # tokens of a held-out document that are scored
# Training documents that a domain's weights are fitted on. The expert was tuned on one of the four, so its weight may
# come out a little high.
FITTED = 4
THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return accuracies, perplexities, the shares of the gap closed, and the speed of speculative proxy-tuning."""
    if data is None:
        return {"name": "adapt", "peer": "not run: give --data (sent_conv, pubmedqa, tinyshakespeare)", "cases": []}
    # The quick form shows the path on the embedded model: small and large are one, so only the arithmetic is tested.
    small, large = ("smollm2-135m-instruct",) * 2 if quick else (SMALL, LARGE)
    cases = Cases("adapt", quick=quick)
    reports: list[TuneReport] = []
    base, anti = LocalModel(large, threads=THREADS), LocalModel(small, threads=THREADS)
    base.load()  # sets the threads of the whole process, which tuning leaves as they are
    expert, starts = anti, [[0]]
    for name, tuning in (QUICK if quick else TUNINGS).items():
        texts = _steering_task.texts(data) if name == TASK else _steering_text.documents(data, name)
        texts = texts[: 200 if quick else None]
        kept = KEPT / (f"quick-{name}" if quick else name)
        reports += [tune(weights, texts, kept / weights, tuning) for weights in dict.fromkeys((small, large))]
        training, held_out = parted(texts, tuning)
        tuned = LocalModel(kept / small, name="expert", threads=THREADS)
        models = (base, tuned, anti)
        if name == TASK:
            asked = _steering_task.questions(data)[: 32 if quick else None]
            cases.add(_steering_task.steered(models, kept / large, asked, held_out, threads=THREADS))
            continue
        pieces, fitting = (
            [base.tokenizer(text)["input_ids"][: 64 if quick else PIECE] for text in some]
            for some in (held_out, training[:FITTED])
        )
        cases.add(_steering_text.steered(name, models, kept / large, pieces, fitting, threads=THREADS))
        if name == "pubmedqa":
            expert, starts = tuned, [ids[:48] for ids in pieces[: 1 if quick else 6]]
    cases.add(speed(base, expert, anti, starts, 16 if quick else 64))
    tunings = [report.to_json() | {"folder": ""} for report in reports]
    return {"name": "adapt", "tuning": tunings, "cases": cases.found}


def speed(
    base: LocalModel, expert: LocalModel, anti: LocalModel, prompts: Sequence[Sequence[int]], tokens: int
) -> list[dict[str, Any]]:
    """Return speculative proxy-tuning (the expert drafts) against plain proxy-tuning; parity: tokens that differ."""
    from pilotfish.decode.sampler import Sampler, Sampling
    from pilotfish.decode.speculative import ModelDraft, Speculative
    from pilotfish.decode.strategy import Job, Plain

    def run(strategy: Strategy) -> tuple[float, list[list[int]]]:
        began = time.perf_counter()
        out = []
        for ids in prompts:
            job = Job([list(ids)] * 3, Sampler(Sampling(), target.vocabulary, list(ids)), tokens)
            strategy.begin([job])
            made: list[int] = []
            while len(made) < tokens:
                made += strategy.step([job])[0].tokens
            strategy.end(job)
            out.append(made[:tokens])
        return time.perf_counter() - began, out

    models = (base, expert, anti)
    tokenizers = [model.tokenizer for model in models]
    target = Lockstep([model.decoder() for model in models], proxy_tuning, tokenizers=tokenizers)
    plain, speculative = Plain(target), Speculative(target, ModelDraft(expert.decoder(), target.vocabulary))
    run(plain)
    run(speculative)
    ratios, ours, theirs, differing = [], [], [], 0
    for _ in range(3):
        peer_seconds, expected = run(plain)
        our_seconds, got = run(speculative)
        differing = max(
            differing,
            sum(a != b for one, two in zip(expected, got, strict=True) for a, b in zip(one, two, strict=True)),
        )
        ratios.append(peer_seconds / our_seconds)
        ours.append(len(prompts) * tokens / our_seconds)
        theirs.append(len(prompts) * tokens / peer_seconds)
    return [
        {
            "case": "speculative proxy-tuning over plain proxy-tuning, the expert drafts",
            "ours": float(np.median(ours)),
            "peer": float(np.median(theirs)),
            "unit": "tokens/s",
            "ratio": float(np.median(ratios)),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "parity": differing,
            "n": len(prompts) * tokens,
        }
    ]
