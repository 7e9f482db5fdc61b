"""SelfCheck against selfcheckgpt: the same scores by NLI, BERTScore and n-grams, and passages a second.

Self-instruct's outputs: of each instruction one model's answer by its sentences, the other models' as the samples. NLI
by a DeBERTa of random weights (its classifier cannot be had here), BERTScore by MiniLM; the same weights and threads on
both sides, rounds alternate. selfcheckgpt reads one NLI pair at a time, and loads BERTScore's model for every sample.
Passages with a token whose best cosine is below 0 are left out of BERTScore's parity: it counts as 0 there. `--quick`
takes four passages.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._peer import Peer
from benchmarks._result import Cases
from benchmarks.bertscore import negative
from pilotfish.evaluate.bertscore import BertScore
from pilotfish.evaluate.nli import Nli
from pilotfish.evaluate.selfcheck import by_bertscore, by_ngrams, by_nli
from pilotfish.models import _weights
from pilotfish.models.encoder import Encoder
from pilotfish.rows.read import read
from pilotfish.rows.sentences import sentences_of

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".bench" / "selfcheck" / "bin" / "python"
HINT = "python -m venv .bench/selfcheck && .bench/selfcheck/bin/pip install -r benchmarks/peers/selfcheck.txt"
THREADS, ROUNDS, PASSAGES, LAYERS = 2, 3, 10, 6
BARS = {"NLI": 2.0, "BERTScore": 5.0, "parity": 1e-5}
Found = list[NDArray[np.float64]]


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return parity and speed of each way."""
    if data is None or not PYTHON.exists():
        lacks = "needs --data: the folder of data sets" if data is None else f"selfcheckgpt is not installed: {HINT}"
        return {"name": "selfcheck", "peer": lacks, "cases": []}
    cases = Cases("selfcheck", quick=quick)
    some = passages(data)[: 4 if quick else PASSAGES]
    peer = Peer(PYTHON, ROOT / "benchmarks" / "peers" / "selfcheck_worker.py", HINT)
    with tempfile.TemporaryDirectory() as held:
        weights = Path(held) / "deberta"
        peer.ask(
            {"make": str(weights), "texts": [text for row in some for text in (*row["samples"], *row["sentences"])]}
        )
        minilm, _ = _weights.located("all-minilm-l6-v2", None)
        for way, folder in (("nli", weights), ("bertscore", minilm), ("ngram", minilm)):
            cases.add(beside(way, folder, some, peer, 1 if quick else ROUNDS))
    peer.close()
    return {"name": "selfcheck", "peer": "selfcheckgpt 0.1.7", "bars": BARS, "cases": cases.found}


def passages(data: Path) -> list[dict[str, Any]]:
    """Return an answer's sentences and the other models' answers, of instructions that most answered at length."""
    by: dict[str, list[str]] = {}
    for file in sorted((data / "self_instruct" / "human_eval" / "predictions").glob("*.jsonl")):
        for row in read(file):
            text = " ".join(str(row["response"]).split())
            if 60 < len(text) < 900:
                by.setdefault(str(row["instruction"]), []).append(text)
    found = [{"sentences": sentences_of(texts[0]), "samples": texts[1:6]} for texts in by.values() if len(texts) >= 6]
    return [row for row in found if 2 <= len(row["sentences"]) <= 8]


def beside(way: str, weights: Path, some: list[dict[str, Any]], peer: Peer, rounds: int) -> Iterator[dict[str, Any]]:
    """Yield the case of one way, in rounds with the peer."""
    job = {"way": way, "weights": str(weights), "layers": LAYERS, "threads": THREADS, "passages": some}
    few = peer.ask(job | {"passages": some[:1]})  # the first fills caches
    of(way, weights, few["sentences"])(some[:1])
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    found: Found = []
    told: dict[str, Any] = {}
    for _ in range(rounds):
        told = peer.ask(job)
        seconds["peer"].append(told["seconds"])
        ours = of(way, weights, told["sentences"])
        start = time.perf_counter()
        found = ours(some)
        seconds["ours"].append(time.perf_counter() - start)
    pairs = zip(told["scores"], found, some, strict=True)
    fault = weights if way == "bertscore" else None
    apart = [np.abs(np.array(theirs) - mine).max() for theirs, mine, row in pairs if not faulty(fault, row)]
    ratios = [a / b for a, b in zip(seconds["peer"], seconds["ours"], strict=True)]
    yield {
        "case": f"SelfCheck by {way}, passages a second",
        "ours": len(some) / median(seconds["ours"]),
        "peer": len(some) / median(seconds["peer"]),
        "unit": "passages/s",
        "ratio": median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "parity": float(np.median(apart) if way == "ngram" else max(apart)),
        "n": len(some),
        "passages in the parity": len(apart),
        **({"equal to 1e-6": int(sum(one < 1e-6 for one in apart))} if way == "ngram" else {}),
    }


def faulty(weights: Path | None, row: dict[str, Any]) -> bool:
    """Return whether bert_score's fault is in a passage: a token whose best cosine is below 0, which counts as 0."""
    if weights is None:
        return False
    metric = BertScore(Encoder(weights, device="cpu", threads=THREADS), LAYERS, long="cut")
    mine, theirs = zip(
        *((one, other) for one in row["sentences"] for text in row["samples"] for other in sentences_of(text)),
        strict=True,
    )
    return bool(negative(metric, list(mine), list(theirs)).any())


def of(way: str, weights: Path, sentences: list[list[list[str]]] | None) -> Callable[[list[dict[str, Any]]], Found]:
    """Return ours, its model loaded before the clock starts, as the peer's NLI is; BERTScore's holds nothing yet."""
    if way == "nli":
        nli = Nli(weights)
        nli.load()
        return lambda rows: [by_nli(row["sentences"], row["samples"], nli) for row in rows]
    if way == "bertscore":
        encoder = Encoder(weights, device="cpu", threads=THREADS).load()
        assert sentences is not None
        cut = sentences

        def score(rows: list[dict[str, Any]]) -> Found:
            metric = BertScore(encoder, LAYERS, long="cut")
            return [by_bertscore(row["sentences"], theirs, metric) for row, theirs in zip(rows, cut, strict=True)]

        return score
    # Words are cut by spaCy there and by an expression here: parity is where both cut alike.
    return lambda rows: [by_ngrams(row["sentences"], row["samples"], smoothing=1e-12) for row in rows]
