"""A real client that needs log-probabilities: lm-evaluation-harness's `local-completions` through the gateway.

It runs in its own environment (.bench/lm-eval), since its dependencies are many. Compared with the same weights'
`score`, without a gateway.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._gateway_servers import ROOT, Served, free_port
from benchmarks._peer import Peer
from pilotfish.models._weights import located
from pilotfish.models.local import LocalModel

PYTHON = ROOT / ".bench" / "lm-eval" / "bin" / "python"
HINT = "python -m venv .bench/lm-eval && .bench/lm-eval/bin/pip install -r benchmarks/peers/lm-eval.txt"
WEIGHTS = "smollm2-135m-instruct"
FILE = """
[models.small]
use = "local"
weights = "smollm2-135m-instruct"
dtype = "float32"
"""
QUESTIONS = [
    ("The capital of France is", [" Paris", " London", " Rome"]),
    ("Water freezes at zero degrees", [" Celsius", " Fahrenheit"]),
    ("The small fish swims with the", [" shark", " large fish", " piano"]),
    ("Two plus two equals", [" four", " five", " twenty-two"]),
]


def harness() -> list[dict[str, Any]]:
    """Return the largest difference of a log-probability, by token ids and by text, and the greedy marks that do."""
    if not PYTHON.exists():
        print(f"lm-eval is not installed: {HINT}", file=sys.stderr)
        return []
    pairs = [(context, choice) for context, choices in QUESTIONS for choice in choices]
    expected = LocalModel(WEIGHTS, dtype="float32").load().score(pairs)
    folder, _ = located(WEIGHTS, None)
    cases = []
    with tempfile.TemporaryDirectory() as where:
        file, port = Path(where) / "gateway.toml", free_port()
        file.write_text(FILE, encoding="utf-8")
        command = [sys.executable, "-m", "pilotfish.cli.main", "serve", str(file), "--port", str(port)]
        served = Served(command, port, "/readyz", {"OMP_NUM_THREADS": "1"}, 120)
        peer = Peer(PYTHON, ROOT / "benchmarks" / "peers" / "lm_eval_gateway.py", HINT)
        try:
            for tokenized in (True, False):
                job = {"url": f"http://127.0.0.1:{port}", "model": "small", "tokenizer": str(folder), "pairs": pairs}
                told = peer.ask(job | {"tokenized": tokenized})
                apart = max(abs(a - b.total) for a, b in zip(told["totals"], expected, strict=True))
                wrong = sum(a != b.greedy for a, b in zip(told["greedy"], expected, strict=True))
                way = "token ids" if tokenized else "text"
                title = f"lm-eval local-completions by {way}: largest difference to `score`"
                cases.append({"case": title, "value": apart, "unit": "nats", "n": len(pairs), "greedy_differs": wrong})
        finally:
            peer.close()
            served.stop()
    return cases
