"""White-box adaptation: how much of what tuning the large model gains does a small tuned expert give it?

A small model is tuned on a domain (PubMedQA's contexts) and steers the larger one, which stays frozen
(proxy-tuning); the same texts, steps and settings tune the larger one directly. Reported on held-out documents that
neither saw: perplexity, the share of the direct gain that steering reaches, with its paired bootstrap interval over
documents, and whether speculative proxy-tuning gives the same tokens faster. Tuned weights are kept under `.bench`.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.adapt.expert import Tuning, parted, perplexity, tune
from pilotfish.decode.rules import proxy_tuning
from pilotfish.measure.intervals import bootstrap
from pilotfish.models.local import LocalModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.decode.decoder import Decoder
    from pilotfish.measure.intervals import Interval

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / ".bench" / "adapt"
SMALL, LARGE = "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct"
TUNING = Tuning(max_tokens=20_000, held_out=0.04, batch_tokens=1024, length=512, every=10)
ALPHAS = (0.5, 1.0, 1.5)
PIECE = 384  # tokens of a held-out document that are scored
THREADS = 2


def losses(decoder: Decoder, documents: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Return each document's summed -log p in nats, its first token given: (documents,)."""
    import torch

    out = []
    for ids in documents:
        rows, first = decoder.start([[list(ids[:1])] * decoder.members])
        logits = [first]
        if len(ids) > 2:
            logits += decoder.feed(rows, [list(ids[1:-1])])
        decoder.close(rows[0])
        logprobs = torch.log_softmax(torch.cat(logits), dim=-1)
        out.append(-float(logprobs[range(len(ids) - 1), list(ids[1:])].double().sum()))
    return np.array(out)


def closed(base: NDArray[np.float64], direct: NDArray[np.float64], steered: NDArray[np.float64]) -> Interval:
    """Return the share of the direct gain that steering reaches, over documents drawn together."""
    rows = np.stack([base, direct, steered], axis=1)

    def share(drawn: Any) -> float:
        total = drawn.sum(axis=0)
        return float((total[0] - total[2]) / (total[0] - total[1]))

    return bootstrap(rows, share, resamples=2000)


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return perplexities, the shares of the gap closed, and the speed of speculative proxy-tuning."""
    if data is None:
        return {"name": "adapt", "peer": "not run: give --data, the folder that holds pubmedqa/", "cases": []}
    rows = json.loads((data / "pubmedqa" / "ori_pqal.json").read_text(encoding="utf-8"))
    texts = [" ".join(row["CONTEXTS"]) for row in rows.values()]
    # The quick form shows the path on the embedded model: small and large are one, so only the arithmetic is tested.
    small, large = ("smollm2-135m-instruct",) * 2 if quick else (SMALL, LARGE)
    tuning = Tuning(max_tokens=600, held_out=0.01, batch_tokens=512, length=128) if quick else TUNING
    texts = texts[:200] if quick else texts
    kind = "quick" if quick else "whole"
    reports = [tune(weights, texts, KEPT / f"{kind}-{weights}", tuning) for weights in dict.fromkeys((small, large))]
    _, held_out = parted(texts, tuning)
    expert_at, direct_at = KEPT / f"{kind}-{small}", KEPT / f"{kind}-{large}"
    base, anti = LocalModel(large, threads=THREADS), LocalModel(small, threads=THREADS)
    documents = [base.tokenizer(text)["input_ids"][: 64 if quick else PIECE] for text in held_out]
    counts = np.array([len(ids) - 1 for ids in documents], np.float64)
    found = {"base": losses(base.decoder(), documents)}
    direct = LocalModel(direct_at, threads=THREADS)
    found["direct"] = losses(direct.decoder(), documents)
    del direct
    gc.collect()
    expert = LocalModel(expert_at, name="expert", threads=THREADS)
    found["expert alone"] = losses(expert.decoder(), documents)
    found["anti-expert alone"] = losses(anti.decoder(), documents)
    for alpha in ALPHAS:
        found[f"steered, alpha {alpha}"] = losses(_lockstep(base, expert, anti, alpha), documents)
    cases = []
    for name, each in found.items():
        interval = bootstrap(np.stack([each, counts], axis=1), _per_token, resamples=2000)
        low, high = np.exp(interval.low), np.exp(interval.high)
        cases.append(
            {
                "case": f"perplexity, {name}",
                "value": perplexity(each, counts),
                "low": float(low),
                "high": float(high),
                "unit": "perplexity of held-out documents",
                "n": len(documents),
            }
        )
    for name, each in found.items():
        if name.startswith("steered"):
            share = closed(found["base"], found["direct"], each)
            cases.append(
                {
                    "case": f"share of the direct gain, {name}",
                    "value": share.value,
                    "low": share.low,
                    "high": share.high,
                    "unit": "share of nats a token",
                    "n": len(documents),
                }
            )
    cases += speed(base, expert, anti, [ids[:48] for ids in documents[: 1 if quick else 6]], 16 if quick else 64)
    return {"name": "adapt", "tuning": [report.to_json() | {"folder": ""} for report in reports], "cases": cases}


def _per_token(drawn: Any) -> float:
    return float(drawn[:, 0].sum() / drawn[:, 1].sum())


def _lockstep(base: LocalModel, expert: LocalModel, anti: LocalModel, alpha: float) -> Decoder:
    from pilotfish.decode.lockstep import Lockstep

    parts = (base, expert, anti)
    return Lockstep(
        [part.decoder() for part in parts],
        partial(proxy_tuning, alphas=(alpha,)),
        tokenizers=[part.tokenizer for part in parts],
    )


def speed(
    base: LocalModel, expert: LocalModel, anti: LocalModel, prompts: Sequence[Sequence[int]], tokens: int
) -> list[dict[str, Any]]:
    """Return speculative proxy-tuning (the expert drafts) against plain proxy-tuning; parity: tokens that differ."""
    from pilotfish.decode.sampler import Sampler, Sampling
    from pilotfish.decode.speculative import ModelDraft, Speculative
    from pilotfish.decode.strategy import Job, Plain, Strategy

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

    target = _lockstep(base, expert, anti, 1.0)
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
