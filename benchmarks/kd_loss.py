"""The fused distillation loss against TRL's: the loss over whole logits, and the one in tiles of its trainer.

Forward and backward through both LM heads, float32, on the same inputs; each side in a process of its own. Memory is
the peak of the resident set above what there was before the first pass of a fresh process; seconds are medians of
passes taken in turn. Bars: loss and gradients equal to 1e-5, a tenth of the whole logits' memory and no more than the
tiles', no slower than the faster of the two.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks._peer import Peer
from benchmarks._result import Cases

ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / ".bench" / "trl" / "bin" / "python"
HINT = "python -m venv .bench/trl && .bench/trl/bin/pip install -r benchmarks/peers/trl.txt"
SCRIPT = ROOT / "benchmarks" / "peers" / "kd_loss_worker.py"
BARS = {"parity": 1e-5, "memory over full": 10.0, "memory over chunked": 1.0, "time": 1.0}
# Tokens, vocabulary, and the hidden sizes of student and teacher: SmolLM2-135M, and Qwen2.5 0.5B under 1.5B.
SHAPES = {"2048 x 49152": (2048, 49152, 576, 576), "1024 x 151936": (1024, 151936, 896, 1536)}
QUICK = {"256 x 8192": (256, 8192, 128, 128)}
PEERS = {"full": "TRL generalized_jsd_loss", "chunked": "TRL chunked divergence"}


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return parity, memory and time for each shape and β."""
    del data
    if not PEER.exists():
        return {"name": "kd-loss", "peer": f"not installed: {HINT}", "cases": []}
    cases = Cases("kd-loss", quick=quick)
    for shape, sizes in (QUICK if quick else SHAPES).items():
        for beta in (0.0, 0.5) if quick else (0.0, 0.1, 0.5, 0.9, 1.0):
            cases.add(compared(shape, sizes, beta, rounds=1 if quick else 3))
    return {"name": "kd-loss", "peer": "TRL, see benchmarks/peers/trl.txt", "bars": BARS, "cases": cases.found}


def compared(shape: str, sizes: tuple[int, int, int, int], beta: float, rounds: int) -> list[dict[str, Any]]:
    """Return the cases of a shape and a β."""
    job = dict(zip(("tokens", "vocabulary", "student", "teacher"), sizes, strict=True))
    sides: dict[str, Peer] = {}
    first: dict[str, dict[str, Any]] = {}
    seconds: dict[str, list[float]] = {which: [] for which in ("ours", *PEERS)}
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for which in seconds:
            # The first pass of each alone: what the others hold is not in its way, and its peak is a fresh process's.
            sides[which] = Peer(Path(sys.executable) if which == "ours" else PEER, SCRIPT, HINT)
            sides[which].ask({**job, "which": which, "threads": 2})
            (Path(folder) / which).mkdir()
            first[which] = sides[which].ask({"beta": beta, "grads": str(Path(folder) / which)})
        parity = {which: _parity(Path(folder), first, which) for which in PEERS}
        for _ in range(rounds):
            for which, side in sides.items():
                seconds[which].append(side.ask({"beta": beta})["seconds"])
    for side in sides.values():
        side.close()
    for which, title in PEERS.items():
        for what, unit, mine, theirs in (
            ("seconds", "seconds", seconds["ours"], seconds[which]),
            ("peak memory", "GiB", *([first[one]["bytes"] / 2**30] for one in ("ours", which))),
        ):
            ratios = [b / a for a, b in zip(mine, theirs, strict=True)]
            cases.append(
                {
                    "case": f"{shape}, beta {beta:g}: {what} against {title}",
                    "ours": median(mine),
                    "peer": median(theirs),
                    "unit": unit,
                    "ratio": median(ratios),
                    "ratio_min": min(ratios),
                    "ratio_max": max(ratios),
                    "parity": parity[which],
                    "n": len(mine),
                }
            )
    return cases


def _parity(folder: Path, first: dict[str, dict[str, Any]], which: str) -> float:
    """Return the largest relative difference of the loss and of both gradients (in norm)."""
    apart = [abs(float(first["ours"]["loss"]) / float(first[which]["loss"]) - 1)]
    for name in ("hidden.npy", "weight.npy"):
        mine, theirs = np.load(folder / "ours" / name), np.load(folder / which / name)
        apart.append(float(np.linalg.norm(mine - theirs) / np.linalg.norm(theirs)))
    return max(apart)
