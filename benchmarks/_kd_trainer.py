"""Our training loop beside TRL's trainer: the same student, teacher, batches, rate and dtype."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks._peer import Peer
from pilotfish.models._weights import located
from pilotfish.models.local import LocalModel
from pilotfish.train.examples import pieces

__all__ = ["HINT", "PEER", "against_trl"]

ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / ".bench" / "trl" / "bin" / "python"
HINT = "python -m venv .bench/trl && .bench/trl/bin/pip install -r benchmarks/peers/trl.txt"
SCRIPT = ROOT / "benchmarks" / "peers" / "kd_train_worker.py"


def against_trl(
    student: Path, teacher: str, texts: Sequence[str], *, rows: int, length: int, steps: int, rounds: int
) -> list[dict[str, Any]]:
    """Return tokens a second and peak memory beside TRL's GKDTrainer, for two values of β.

    The first two steps are left out: they fill caches and the optimizer's state. Parity is the largest relative
    difference of a step's loss, over all steps.
    """
    examples = [one.ids for one in pieces(LocalModel(teacher).tokenizer, texts, length) if len(one.ids) == length]
    folder, _ = located(teacher, None)
    cases = []
    for beta in (0.0, 0.5):
        told: dict[str, list[dict[str, Any]]] = {"ours": [], "trl": []}
        with tempfile.TemporaryDirectory() as held:
            ids = Path(held) / "ids.npy"
            np.save(ids, np.array(examples[:rows]))
            job = {"student": str(student), "teacher": str(folder), "ids": str(ids), "beta": beta, "steps": steps}
            job |= {"rate": 1e-4, "threads": 2}
            for turn in range(rounds):
                for which, found in told.items():
                    side = Peer(Path(sys.executable) if which == "ours" else PEER, SCRIPT, HINT)
                    found.append(side.ask({**job, "which": which, "folder": str(Path(held) / f"{which}-{turn}")}))
                    side.close()
        curves = [np.array(found[0]["losses"]) for found in told.values()]
        parity = float(np.abs(curves[0] / curves[1] - 1).max())
        speed = {
            which: [rows * (length - 1) / median(one["seconds"][1:]) for one in found] for which, found in told.items()
        }
        memory = {which: [one["bytes"] / 2**30 for one in found] for which, found in told.items()}
        for what, unit, each, ratios in (
            ("tokens a second", "tokens/s", speed, [a / b for a, b in zip(speed["ours"], speed["trl"], strict=True)]),
            ("peak memory", "GiB", memory, [b / a for a, b in zip(memory["ours"], memory["trl"], strict=True)]),
        ):
            cases.append(
                {
                    "case": f"{rows} x {length} tokens a step, beta {beta:g}: {what} against TRL's GKDTrainer",
                    "ours": median(each["ours"]),
                    "peer": median(each["trl"]),
                    "unit": unit,
                    "ratio": median(ratios),
                    "ratio_min": min(ratios),
                    "ratio_max": max(ratios),
                    "parity": parity,
                    "n": len(ratios),
                }
            )
    return cases
