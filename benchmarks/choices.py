"""Scoring labels after a prompt: ours (`LocalModel.choices`, `LocalModel.score`) against lm-evaluation-harness.

The same texts, labels, weights, dtype and threads; A B A B. Parity is the largest difference of log p(label | prompt)
in float32, checked before anything is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._peer import Peer
from pilotfish.models._weights import located
from pilotfish.models.local import LocalModel
from pilotfish.rows.read import read

ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / ".bench" / "lm-eval" / "bin" / "python"
HINT = "python -m venv .bench/lm-eval && .bench/lm-eval/bin/pip install -r benchmarks/peers/lm-eval.txt"
WEIGHTS = "smollm2-135m-instruct"
THREADS = 2


def harness(dtype: str, pairs: list[tuple[str, str]]) -> Peer:
    """Return lm-evaluation-harness in a process of its own, loaded; each further line scores every pair once."""
    folder, _ = located(WEIGHTS, None)
    peer = Peer(PEER, ROOT / "benchmarks" / "peers" / "lm_eval_score.py", HINT)
    peer.ask({"folder": str(folder), "dtype": dtype, "threads": THREADS, "batch": 16, "pairs": pairs})
    return peer


def prompts(rows: int) -> tuple[list[str], list[str]]:
    """Return prompts of the embedded support messages, and the labels as continuations."""
    messages = list(read(ROOT / "examples" / "support" / "labelled.jsonl"))
    labels = sorted({str(row["intent"]) for row in messages})
    listing = "".join(f"- {label.replace('_', ' ')}\n" for label in labels)
    head = f"Sort the text into exactly one category.\n\nCategories:\n{listing}\nText: "
    return [f"{head}{row['text']}\nCategory:" for row in messages[:rows]], [f" {n.replace('_', ' ')}" for n in labels]


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return the ratio of labels scored a second, ours over the peer's, in float32 and bfloat16."""
    del data
    if not PEER.exists():
        return {"name": "choices", "peer": f"not installed: {HINT}", "cases": []}
    contexts, labels = prompts(2 if quick else 6)
    pairs = [(context, label) for context in contexts for label in labels]
    cases = []
    for dtype in ("float32",) if quick else ("float32", "bfloat16"):
        ours = LocalModel(WEIGHTS, dtype=dtype, threads=THREADS).load()
        peer = harness(dtype, pairs)
        ways: dict[str, Callable[[], list[float]]] = {
            "choices": lambda model=ours: [float(x) for x in model.choices(contexts, labels).ravel()],  # type: ignore[misc]
            "score": lambda model=ours: [one.total for one in model.score(pairs)],  # type: ignore[misc]
        }
        reference = peer.ask("go")["totals"]
        for way, run in ways.items():
            parity = float(np.abs(np.array(run()) - np.array(reference)).max())
            times: list[tuple[float, float]] = []
            for _ in range(1 if quick else 3):
                started = time.perf_counter()
                run()
                times.append((time.perf_counter() - started, float(peer.ask("go")["seconds"])))
            ratios = [theirs / mine for mine, theirs in times]
            mine, theirs = (float(np.median([pair[i] for pair in times])) for i in (0, 1))
            cases.append(
                {
                    "case": f"{way}, {dtype}: {len(contexts)} texts x {len(labels)} labels",
                    "ours": round(len(pairs) / mine, 2),
                    "peer": round(len(pairs) / theirs, 2),
                    "unit": "labels scored a second",
                    "ratio": round(float(np.median(ratios)), 2),
                    "ratio_min": round(min(ratios), 2),
                    "ratio_max": round(max(ratios), 2),
                    "parity": parity,
                    "n": len(pairs),
                }
            )
        peer.close()
    return {"name": "choices", "peer": "lm-eval, see benchmarks/peers/lm-eval.txt", "cases": cases}
