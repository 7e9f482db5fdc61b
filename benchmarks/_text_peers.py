"""Parts of the text benchmark: SetFit beside the contrastive one, fastText beside the bag, on the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._peer import Peer
from benchmarks._result import estimated
from benchmarks._text_bench import ENCODER, HOME, SEEDS, TITLES, Bench, Told, amount, mean
from benchmarks._text_sets import Set
from pilotfish.measure.intervals import drawn_again
from pilotfish.models._weights import located
from pilotfish.train.contrast import pairs_for

PEERS = (("setfit", "contrastive", 8), ("fasttext", "bag", None))


def peers(bench: Bench, one: Set, told: Told) -> Iterator[dict[str, Any]]:
    """Yield what the peers are worth, and what ours gain over them, where their environments are there."""
    truth = [label for _, label in one.test]
    for peer, kind, count in PEERS:
        ours = told.get((kind, count))
        if ours is None or not (HOME / peer / "bin" / "python").exists():
            continue
        shown = "all" if count is None else count
        seeds = SEEDS[: len(ours)]
        held = [
            bench.kept(f"{one.name}/{peer}-{shown}-{seed}", partial(_asked, one, peer, count, seed)) for seed in seeds
        ]
        if None in held:
            continue
        own = [bench.kept(f"{one.name}/{kind}-{shown}-{seed}", dict) for seed in seeds]
        theirs = np.array([[a == b for a, b in zip(run["said"], truth, strict=True)] for run in held], np.float64)
        yield {**estimated(f"{one.name}, {peer}, {amount(count)}", mean(theirs), "accuracy"), "seeds": len(seeds)}
        gap = drawn_again(ours - theirs, lambda table: float(table.mean()))
        yield estimated(f"{one.name}, {TITLES[kind]} above {peer}, {amount(count)}", gap, "difference of accuracy")
        ratios = [b["seconds"] / a["seconds"] for a, b in zip(own, held, strict=True)]
        yield {
            "case": f"{one.name}, {TITLES[kind]}, {amount(count)}: seconds to teach, against {peer}",
            "ours": float(np.mean([run["seconds"] for run in own])),
            "peer": float(np.mean([run["seconds"] for run in held])),
            "unit": "seconds",
            "ratio": float(np.median(ratios)),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "parity": abs(gap.value),
            "n": len(ratios),
        }


def _asked(one: Set, peer: str, count: int | None, seed: int) -> dict[str, Any]:
    rows = one.drawn(count, seed)
    job = {
        "texts": [text for text, _ in rows],
        "labels": [label for _, label in rows],
        "test": [text for text, _ in one.test],
        "seed": seed,
        "steps": 2 * pairs_for(len(rows)) // 32,  # of 16 pairs: as many texts are read as ours reads
        "encoder": str(located(ENCODER, None)[0]),
    }
    script = Path(__file__).parent / "peers" / f"{peer}_text_worker.py"
    worker = Peer(HOME / peer / "bin" / "python", script, f"benchmarks/peers/{peer}.txt")
    try:
        return worker.ask(job)
    finally:
        worker.close()
