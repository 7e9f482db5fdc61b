"""Perplexity of texts by SmolLM2-135M: tokens a second beside plain transformers, a text at a time and 16 padded.

The plain loops are what most scripts do: `model(input_ids)`, a log-softmax over all logits, the tokens' entries. The
better of the two is the peer. Parity is the largest difference of a text's loss a token. WikiText-2's paragraphs;
`--quick` takes the embedded support messages. bfloat16 only where the processor multiplies it: emulated it is no way to
read at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._result import Cases
from benchmarks.advise import SUPPORT
from pilotfish.curate.reading.losses import Reading, document_losses
from pilotfish.models._weights import cpu_has_bfloat16
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader
from pilotfish.rows.read import read

MODEL, THREADS, PARTS = "smollm2-135m-instruct", 2, 5


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return tokens a second against the better of two plain loops, in float32 and in bfloat16."""
    torch.set_num_threads(THREADS)
    cases = Cases("curate-ppl", quick=quick)
    texts = [str(row["text"]) for row in read(SUPPORT / "labelled.jsonl")][:24]
    if data is not None and not quick:
        lines = (data / "wikitext2_eval" / "valid.txt").read_text("utf-8").splitlines()
        texts = [line.strip() for line in lines if len(line) > 80][:100]
    plain = {dtype: LocalModel(MODEL, dtype=dtype, device="cpu", threads=THREADS).load() for dtype in dtypes_here()}
    mine = {dtype: Reading(Reader(MODEL, dtype=dtype, device="cpu", threads=THREADS)) for dtype in plain}
    for reading in mine.values():
        reading.reader.load()
    # In parts, way after way of each: a machine that others use is faster in one minute than in the next.
    parts = [texts[first::PARTS] for first in range(PARTS)]
    ids = [[mine["float32"].reader.ids(text) for text in part] for part in parts]
    tokens = sum(len(row) - 1 for part in ids for row in part)
    ways: dict[str, Callable[[int], list[NDArray[np.float32]]]] = {}
    for dtype, local in plain.items():
        ways[f"ours, {dtype}"] = partial(_ours, mine[dtype], parts)
        ways[f"one at a time, {dtype}"] = partial(_plain, local.model, ids, 1)
        ways[f"padded by 16, {dtype}"] = partial(_plain, local.model, ids, 16)
    seconds: dict[str, list[float]] = {way: [0.0] * PARTS for way in ways}
    losses: dict[str, list[NDArray[np.float32]]] = {way: [] for way in ways}
    for turn in range(2 if quick else 3):
        for at in range(PARTS):
            for way, go in ways.items():
                start = time.perf_counter()
                found = go(at)
                if turn:  # the first fills caches
                    seconds[way][at] += time.perf_counter() - start
                else:
                    losses[way] += found
    turns = 1 if quick else 2
    for ours, theirs in (("float32", "float32"), ("bfloat16", "float32"), ("bfloat16", "bfloat16")):
        if ours not in plain:
            continue
        way = min((f"one at a time, {theirs}", f"padded by 16, {theirs}"), key=lambda name: sum(seconds[name]))
        ratios = [a / b for a, b in zip(seconds[way], seconds[f"ours, {ours}"], strict=True)]
        apart = [abs(float(a.mean() - b.mean())) for a, b in zip(losses[f"ours, {ours}"], losses[way], strict=True)]
        cases.add(
            [
                {
                    "case": f"perplexity, ours in {ours} against transformers {way}",
                    "ours": turns * tokens / sum(seconds[f"ours, {ours}"]),
                    "peer": turns * tokens / sum(seconds[way]),
                    "unit": "tokens/s",
                    "ratio": sum(seconds[way]) / sum(seconds[f"ours, {ours}"]),
                    "ratio_min": min(ratios),
                    "ratio_max": max(ratios),
                    "parity": max(apart),
                    "n": len(texts),
                }
            ]
        )
    return {"name": "curate-ppl", "peer": "transformers", "cases": cases.found}


def dtypes_here() -> tuple[str, ...]:
    """Return the types to measure in: bfloat16 where this processor has it."""
    return ("float32", "bfloat16") if cpu_has_bfloat16() else ("float32",)


def _ours(reading: Reading, parts: list[list[str]], at: int) -> list[NDArray[np.float32]]:
    return document_losses(reading, parts[at])


def _plain(model: Any, parts: list[list[list[int]]], size: int, part: int) -> list[NDArray[np.float32]]:
    """Return the losses of the tokens of a part's rows, `size` rows together, padded on the right."""
    rows = parts[part]
    found: list[NDArray[np.float32]] = []
    with torch.inference_mode():
        for at in range(0, len(rows), size):
            some = rows[at : at + size]
            longest = max(len(row) for row in some)
            ids = torch.tensor([row + [0] * (longest - len(row)) for row in some])
            mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in some])
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
            each = -logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
            found += [each[i, : len(row) - 1].numpy() for i, row in enumerate(some)]
    return found
