"""White-box adaptation: how much of what tuning the large model gains does a small tuned expert give it?

A small model is tuned on a domain (PubMedQA's contexts; Shakespeare's plays) and steers the larger one, which stays
frozen; the same texts, steps and settings tune the larger one directly. Two ways to steer: proxy-tuning at fixed
alphas, and a product of base, expert and anti-expert with weights fitted on a few training documents. Reported on
held-out documents that nothing saw: perplexity, the share of the direct gain that steering reaches, with its paired
bootstrap interval over documents, and whether speculative proxy-tuning gives the same tokens faster. Tuned weights are
kept under `.bench`.
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
    from pilotfish.decode.lockstep import Rule
    from pilotfish.measure.intervals import Interval

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / ".bench" / "adapt"
SMALL, LARGE = "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct"
TUNINGS = {
    "pubmedqa": Tuning(max_tokens=20_000, held_out=0.04, batch_tokens=1024, length=512, every=10),
    "tinyshakespeare": Tuning(max_tokens=10_000, held_out=0.05, batch_tokens=1024, length=512, every=10),
}
QUICK = Tuning(max_tokens=600, held_out=0.01, batch_tokens=512, length=128)
ALPHAS = (0.5, 1.0)
PIECE = 384  # tokens of a held-out document that are scored
FITTED = 4  # training documents that weights are fitted on
THREADS = 2


def documents(data: Path, domain: str) -> list[str]:
    """Return a domain's texts: each PubMedQA question's contexts, or runs of speeches of about 1,400 characters."""
    if domain == "pubmedqa":
        rows = json.loads((data / "pubmedqa" / "ori_pqal.json").read_text(encoding="utf-8"))
        return [" ".join(row["CONTEXTS"]) for row in rows.values()]
    texts = [""]
    for speech in (data / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8").split("\n\n"):
        if len(texts[-1]) + len(speech) > 1400:
            texts.append("")
        texts[-1] += speech + "\n\n"
    return texts


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
        return {"name": "adapt", "peer": "not run: give --data (pubmedqa, tinyshakespeare)", "cases": []}
    # The quick form shows the path on the embedded model: small and large are one, so only the arithmetic is tested.
    small, large = ("smollm2-135m-instruct",) * 2 if quick else (SMALL, LARGE)
    cases: list[dict[str, Any]] = []
    reports = []
    base, anti = LocalModel(large, threads=THREADS), LocalModel(small, threads=THREADS)
    for domain, tuning in {"pubmedqa": QUICK}.items() if quick else TUNINGS.items():
        texts = documents(data, domain)[: 200 if quick else None]
        kept = KEPT / (f"quick-{domain}" if quick else domain)
        reports += [tune(weights, texts, kept / weights, tuning) for weights in dict.fromkeys((small, large))]
        training, held_out = parted(texts, tuning)
        length = 64 if quick else PIECE
        pieces, fitting = (
            [base.tokenizer(text)["input_ids"][:length] for text in some] for some in (held_out, training[:FITTED])
        )
        expert = LocalModel(kept / small, name="expert", threads=THREADS)
        cases += steering(domain, base, expert, anti, kept / large, pieces, fitting)
        if domain == "pubmedqa":
            starts = [ids[:48] for ids in pieces[: 1 if quick else 6]]
            cases += speed(base, expert, anti, starts, 16 if quick else 64)
    return {"name": "adapt", "tuning": [report.to_json() | {"folder": ""} for report in reports], "cases": cases}


def steering(
    domain: str,
    base: LocalModel,
    expert: LocalModel,
    anti: LocalModel,
    direct_at: Path,
    pieces: Sequence[Sequence[int]],
    fitting: Sequence[Sequence[int]],
) -> list[dict[str, Any]]:
    """Return the perplexity of every way on the held-out pieces, and the shares of the direct gain."""
    from pilotfish.decode.evidence import gather
    from pilotfish.decode.fit import fit_weights

    counts = np.array([len(ids) - 1 for ids in pieces], np.float64)
    found = {"base": losses(base.decoder(), pieces)}
    direct = LocalModel(direct_at, threads=THREADS)
    found["direct"] = losses(direct.decoder(), pieces)
    del direct
    gc.collect()
    found["expert alone"] = losses(expert.decoder(), pieces)
    found["anti-expert alone"] = losses(anti.decoder(), pieces)
    members = [part.decoder() for part in (base, expert, anti)]
    fit = fit_weights("product", [gather(members, fitting, domain, limit=1000)])
    ways: dict[str, Rule] = {f"alpha {alpha}": partial(proxy_tuning, alphas=(alpha,)) for alpha in ALPHAS}
    ways["weights fitted: " + ", ".join(f"{weight:.2f}" for weight in fit.weights)] = fit.rule
    for way, rule in ways.items():
        found[f"steered, {way}"] = losses(_lockstep(base, expert, anti, rule), pieces)
    cases = []
    for name, each in found.items():
        interval = bootstrap(np.stack([each, counts], axis=1), _per_token, resamples=2000)
        low, high = float(np.exp(interval.low)), float(np.exp(interval.high))
        unit = "perplexity of held-out documents"
        title = f"{domain}: perplexity, {name}"
        value = perplexity(each, counts)
        cases.append({"case": title, "value": value, "low": low, "high": high, "unit": unit, "n": len(pieces)})
    for name, each in found.items():
        if name.startswith("steered"):
            share = closed(found["base"], found["direct"], each)
            title, unit = f"{domain}: share of the direct gain, {name}", "share of nats a token"
            ends = {"low": share.low, "high": share.high}
            cases.append({"case": title, "value": share.value, **ends, "unit": unit, "n": len(pieces)})
    return cases


def _per_token(drawn: Any) -> float:
    return float(drawn[:, 0].sum() / drawn[:, 1].sum())


def _lockstep(base: LocalModel, expert: LocalModel, anti: LocalModel, rule: Rule) -> Decoder:
    from pilotfish.decode.lockstep import Lockstep

    parts = (base, expert, anti)
    return Lockstep(
        [part.decoder() for part in parts],
        rule,
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

    target = _lockstep(base, expert, anti, proxy_tuning)
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
