"""Decoding: tokens a second of our engine against `transformers.generate`, OpenVINO GenAI and llama.cpp.

The same weights (the catalog's GGUF files; transformers gets them as bfloat16 or float32), prompts, threads; A B A B.
Ours in int8 and int4 stands against `generate` in bfloat16, the least that it has, and against llama.cpp and OpenVINO
at as many bits. A rate counts all rows' tokens from the first new token to the last; prompts are timed apart.

Parity is the share of greedy tokens that differ from `generate`'s in the same case: none should in float32.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks import _decoding, _perplexity
from benchmarks._decode_peers import LlamaCpp, OpenVino, missing
from pilotfish.decode.pick import decoder_for
from pilotfish.models.catalog import Catalog
from pilotfish.models.local import LocalModel

THREADS = 2
MODELS = ("smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct")
# New tokens a run: `generate` takes minutes for the largest.
STEPS = {MODELS[0]: 64, MODELS[1]: 48, MODELS[2]: 24}
BITS = {
    "float32": ("float32", "none"),
    "bfloat16": ("bfloat16", "none"),
    "bfloat16 in 12 bits": ("bfloat16", "lossless"),
    "int8": ("bfloat16", "int8"),
    "int4": ("bfloat16", "int4"),
}


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return rates and their ratios, prompts' rates, shares of the roofline and what quantising costs."""
    torch.set_num_threads(THREADS)
    cases: list[dict[str, Any]] = []
    backends: dict[str, str] = {}
    absent: dict[str, str] = {}
    for weights in MODELS[:1] if quick else MODELS:
        for dtype in ("bfloat16",) if quick else ("float32", "bfloat16"):
            model = LocalModel(weights, dtype=dtype, threads=THREADS).load()
            chosen = [bits for bits, (wanted, _) in BITS.items() if wanted == dtype]
            for bits in chosen:
                decoder = decoder_for(model.model, quantize=BITS[bits][1])
                backends[f"{weights}, {bits}"] = str(getattr(decoder, "why", ""))
                cases += speeds(model, decoder, bits, quick, absent)
                print(f"{weights}, {bits}: done", file=sys.stderr, flush=True)
                if data is not None and dtype == "bfloat16" and (not quick or bits == "int8"):
                    cases.append(quality(model, decoder, bits, data, quick))
                del decoder
            del model
            gc.collect()
    return {
        "name": "decode",
        "peer": "transformers.generate; " + ("; ".join(missing()) or "OpenVINO GenAI and llama.cpp, see peers/"),
        "threads": THREADS,
        "decoders": backends,
        "peers_that_failed": absent,
        "cases": cases,
    }


def speeds(model: LocalModel, decoder: Any, bits: str, quick: bool, absent: dict[str, str]) -> list[dict[str, Any]]:
    """Return the cases of one model in so many bits: decoding alone and in a batch, prompts, the roofline."""
    cases = []
    steps, rounds = (12, 1) if quick else (STEPS[model.weights], 3)
    gguf = Catalog.load().resolve(model.weights, pull=False).path
    title = f"{model.name}, {bits}"
    for rows in (1,) if quick else (1, 8):
        ids = _decoding.prompts(model.tokenizer, rows)
        _decoding.ours(decoder, ids, 4)
        mine, theirs = _decoding.ours(decoder, ids, steps), _decoding.generate(model.model, ids, steps)
        parity = _decoding.differing(mine, theirs)
        peers, close = _peers(model, bits, gguf, ids, steps, absent)
        rates: dict[str, list[float]] = {name: [] for name in ("ours", *peers)}
        bandwidths = []  # beside each round: neighbours on the machine change it
        for _ in range(rounds):
            bandwidths.append(_decoding.bandwidth())
            rates["ours"].append(_decoding.ours(decoder, ids, steps).rate)
            for name, run in peers.items():
                rates[name].append(run())
        close()
        for name in peers:
            case = f"{title}, {rows} row{'s' * (rows > 1)}: against {name}"
            cases.append(versus(case, rates["ours"], rates[name], "tokens a second", parity, steps * rows))
        if rows == 1:
            cases.append(roofline(title, decoder.weight_bytes, rates["ours"], bandwidths, steps))
    return cases + prompt_speeds(model, decoder, bits, gguf, quick)


def roofline(title: str, weights: int, rates: list[float], bandwidths: list[float], steps: int) -> dict[str, Any]:
    """Return the share of the rate at which memory can be read, taken beside each round."""
    shares = [weights * rate / bandwidth for rate, bandwidth in zip(rates, bandwidths, strict=True)]
    return {
        "case": f"{title}: roofline",
        "value": round(median(shares), 3),
        "low": round(min(shares), 3),
        "high": round(max(shares), 3),
        "unit": "share of the rate at which memory can be read",
        "bytes_a_second": round(weights * median(rates)),
        "bandwidth": round(median(bandwidths)),
        "n": steps,
    }


def _peers(
    model: LocalModel, bits: str, gguf: Path, ids: list[list[int]], steps: int, failed: dict[str, str]
) -> tuple[dict[str, Callable[[], float]], Callable[[], None]]:
    """Return the peers of a case, each as a run that gives its rate, and what ends them."""
    peers: dict[str, Callable[[], float]] = {
        f"transformers.generate in {BITS[bits][0]}": lambda: _decoding.generate(model.model, ids, steps).rate
    }
    ends: list[Callable[[], None]] = []
    absent = " ".join(missing())
    if bits == "int4" and "OpenVINO" not in absent:
        texts = list(_decoding.PROMPTS[: len(ids)])
        try:
            openvino = OpenVino(gguf, THREADS)
            openvino.rate(texts, 4)
        except RuntimeError as error:
            # It knows fewer of GGUF's types than llama.cpp; that is told, and the others are measured.
            failed[f"OpenVINO GenAI, {gguf.stem}"] = str(error)
        else:
            peers[f"OpenVINO GenAI, {gguf.stem}"] = lambda: openvino.rate(texts, steps)
            ends.append(openvino.close)
    if bits != "float32" and "llama.cpp" not in absent:
        llama = LlamaCpp(gguf, bits, THREADS)
        prompt = sum(map(len, ids)) // len(ids)
        peers[f"llama.cpp, {llama.path.stem}"] = lambda: llama.rates(len(ids), prompt, steps)[1]

    def close() -> None:
        for end in ends:
            end()

    return peers, close


def prompt_speeds(model: LocalModel, decoder: Any, bits: str, gguf: Path, quick: bool) -> list[dict[str, Any]]:
    """Return the cases of a prompt of 512 tokens: against the module's forward, and llama.cpp."""
    length, rounds = (128, 1) if quick else (512, 3)
    ids = [token for row in _decoding.prompts(model.tokenizer, 8) for token in row]
    prompt = (ids * (1 + length // len(ids)))[:length]
    llama = None
    if bits != "float32" and "llama.cpp" not in " ".join(missing()):
        llama = LlamaCpp(gguf, bits, THREADS)
    mine, forward, theirs = [], [], []
    _decoding.prefill_ours(decoder, prompt)
    for i in range(rounds):
        # Another first token each time: a decoder may keep what it has run for the next prompt that begins alike.
        prompt[0] = i + 1
        mine.append(length / _decoding.prefill_ours(decoder, prompt))
        forward.append(length / _decoding.prefill_transformers(model.model, prompt))
        if llama is not None:
            theirs.append(llama.rates(1, length, 1)[0])
    unit = "prompt tokens a second"
    rows, logits = decoder.start([[prompt]])
    decoder.close(rows[0])
    with torch.inference_mode():
        exact = model.model(input_ids=torch.tensor([prompt]), logits_to_keep=1).logits[0, -1].float()
    parity = float((logits[0].log_softmax(-1) - exact.log_softmax(-1)).abs().max())
    title = f"{model.name}, {bits}, a prompt of {length}: against"
    cases = [versus(f"{title} the module's forward in {BITS[bits][0]}", mine, forward, unit, parity, length)]
    if llama is not None:
        cases.append(versus(f"{title} llama.cpp, {llama.path.stem}", mine, theirs, unit, parity, length))
    return cases


def quality(model: LocalModel, decoder: Any, bits: str, data: Path, quick: bool) -> dict[str, Any]:
    """Return how much the perplexity on WikiText-2 lies above transformers' in bfloat16, on the same windows."""
    count, length = (4, 128) if quick else (16, 512)
    windows = _perplexity.windows(model.tokenizer, data / "wikitext2_eval" / "test.txt", count, length)
    mine = [_perplexity.by_decoder(decoder, window) for window in windows]
    theirs = [_perplexity.by_transformers(model.model, window) for window in windows]
    found = _perplexity.relative(mine, theirs)
    return {
        "case": f"{model.name}, {bits}: perplexity over transformers' in bfloat16, WikiText-2",
        "value": round(found.value, 5),
        "low": round(found.low, 5),
        "high": round(found.high, 5),
        "unit": "relative increase",
        "n": count * (length - 1),
        "windows": count,
    }


def versus(case: str, mine: list[float], theirs: list[float], unit: str, parity: float, n: int) -> dict[str, Any]:
    """Return a case against a peer, from rates taken in turn."""
    ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
    return {
        "case": case,
        "ours": round(median(mine), 2),
        "peer": round(median(theirs), 2),
        "unit": unit,
        "ratio": round(median(ratios), 2),
        "ratio_min": round(min(ratios), 2),
        "ratio_max": round(max(ratios), 2),
        "parity": parity,
        "n": n,
    }
