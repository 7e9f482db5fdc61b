"""Late interaction against PyLate: the same vectors and MaxSim scores, passages a second, latency, bytes, additions.

MiniLM with a seeded projection to 128, saved in PyLate's layout and loaded by both; texts are PubMedQA's contexts,
XQuAD's paragraphs and Cranfield. The index is compared on 10^4 and 10^5 passages of at most 64 tokens, each made of
tokens of two real passages that are moved a little, for so many real ones take hours to encode here; both sides get the
same vectors, in half precision. The peer's index is PyLate's `PLAID`: Stanford's (`use_fast=False`), whose kernels are
for CPUs, and fast-plaid (its default), which computes in float16: torch has no fast float16 products on a CPU
without AVX512-FP16, so it is given fewer passages here, and the case says how many. Recall is of the ten best of
every pair scored exactly. What is added later is 1% more passages. `--quick` takes 400 texts and 10^3 passages.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._peer import Peer
from benchmarks._result import Cases
from benchmarks.curate_ppl import dtypes_here
from pilotfish.retrieve.late.encoder import LateEncoder
from pilotfish.retrieve.late.index import LateIndex
from pilotfish.retrieve.late.maxsim import Ragged, maxsim
from pilotfish.retrieve.late.settings import LateSettings

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".bench" / "pylate" / "bin" / "python"
HINT = "python -m venv .bench/pylate && .bench/pylate/bin/pip install -r benchmarks/peers/pylate.txt"
THREADS, ROUNDS, LONGEST, K = 2, 3, 64, 10
BARS = {
    "parity of MaxSim": 1e-4,
    "passages a second, float32": 1.0,
    "passages a second, bfloat16": 2.0,
    "latency": 2.0,
    "an addition of 1% against a build": 0.03,
}
FAST_PLAID = 1000  # passages that fast-plaid gets


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return parity, speed, latency, size and what additions cost."""
    if data is None or not PYTHON.exists():
        lacks = "needs --data: the folder of data sets" if data is None else f"PyLate is not installed: {HINT}"
        return {"name": "late-interaction", "peer": lacks, "cases": []}
    cases = Cases("late-interaction", quick=quick)
    texts, asked = collection(data)
    if quick:
        texts, asked = texts[:: len(texts) // 400][:400], asked[:40]
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        made = LateEncoder("all-minilm-l6-v2", LateSettings(), dimension=128, device="cpu", threads=THREADS)
        made.save(folder / "model")
        kernels = ROOT / ".bench" / "pylate-extensions"
        for lock in kernels.glob("*/lock"):
            lock.unlink()  # a run that was killed while it compiled leaves one, and torch would wait for it for ever
        ways = {"TORCH_EXTENSIONS_DIR": str(kernels), "HF_HUB_OFFLINE": "1"}
        ways["PATH"] = f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}"
        peer = Peer(PYTHON, ROOT / "benchmarks" / "peers" / "late_worker.py", HINT, ways)
        peer.ask({"do": "load", "weights": str(folder / "model"), "threads": THREADS})
        warm(peer, folder)
        cases.add(encoding(peer, folder, texts, asked, quick=quick))
        encoder = LateEncoder(folder / "model", device="cpu", threads=THREADS)
        real = encoder.documents(texts[:: 1 if quick else max(1, len(texts) // 3000)])
        queries = encoder.queries(asked[: 40 if quick else 100])
        sizes = [1000] if quick else [10_000, 100_000]
        for passages in sizes:
            cases.add(searching(peer, folder, real, queries, passages, fast=False))
        cases.add(searching(peer, folder, real, queries[:8], FAST_PLAID, fast=True))
        peer.close()
    return {"name": "late-interaction", "peer": "PyLate 1.6.0", "bars": BARS, "cases": cases.found}


def collection(data: Path) -> tuple[list[str], list[str]]:
    """Return passages and questions."""
    passages, questions = [], []
    for row in json.loads((data / "pubmedqa" / "ori_pqal.json").read_text(encoding="utf-8")).values():
        passages += row["CONTEXTS"]
        questions.append(row["QUESTION"])
    for article in json.loads((data / "xquad_en" / "xquad.en.json").read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            passages.append(paragraph["context"])
            questions += [one["question"] for one in paragraph["qas"]]
    return passages, questions[:: max(1, len(questions) // 200)]


def warm(peer: Peer, folder: Path) -> None:
    """Have the peer compile its kernels, which it does at its first search: minutes, once for each machine."""
    random = np.random.default_rng(0)
    some = [random.normal(size=(20, 128)) for _ in range(200)]
    vectors = [(one / np.linalg.norm(one, axis=1, keepdims=True)).astype(np.float16) for one in some]
    packed(folder / "warm.npz", vectors)
    packed(folder / "asked.npz", vectors[:2])
    base = {"threads": THREADS, "folder": str(folder / "warm"), "fast": False, "documents": str(folder / "warm.npz")}
    peer.ask({**base, "do": "build"})
    peer.ask({**base, "do": "search", "queries": str(folder / "asked.npz"), "k": K})


def encoding(peer: Peer, folder: Path, texts: list[str], asked: list[str], *, quick: bool) -> Iterator[dict[str, Any]]:
    """Yield parity of vectors and scores, and passages encoded and indexed a second."""
    some = texts if quick else texts[:: max(1, len(texts) // 1000)][:1000]
    for name, what in (("passages", some), ("questions", asked)):
        (folder / f"{name}.json").write_text(json.dumps(what), encoding="utf-8")
    base: dict[str, Any] = {"do": "encode", "threads": THREADS}
    read = {"texts": str(folder / "passages.json"), "query": False, "out": str(folder / "passages.npz")}
    seconds: dict[str, list[float]] = {"peer": [], "built": []}
    found: dict[str, list[NDArray[np.float32]]] = {}
    encoders = {dtype: LateEncoder(folder / "model", dtype=dtype, device="cpu").load() for dtype in dtypes_here()}
    for _ in range(1 if quick else ROUNDS):
        seconds["peer"].append(peer.ask(base | read)["seconds"])
        for dtype, encoder in encoders.items():
            start = time.perf_counter()
            found[dtype] = encoder.documents(some)
            seconds.setdefault(dtype, []).append(time.perf_counter() - start)
    peer.ask(base | {"texts": str(folder / "questions.json"), "query": True, "out": str(folder / "questions.npz")})
    documents, queries = (unpacked(folder / f"{name}.npz") for name in ("passages", "questions"))
    mine = encoders["float32"].queries(asked)
    apart = max(
        float(np.abs(one - other).max())
        for one, other in zip([*found["float32"], *mine], [*documents, *queries], strict=True)
    )
    few = documents[:100]
    packed(folder / "few.npz", few)
    packed(folder / "asked.npz", queries[:20])
    told = peer.ask(
        {"do": "scores", "queries": str(folder / "asked.npz"), "documents": str(folder / "few.npz"), "threads": THREADS}
    )
    ours = np.stack([maxsim(query, found["float32"][:100]) for query in mine[:20]])
    parity = float(np.abs(ours - np.array(told["scores"])).max())
    shown = {"case": "MaxSim scores, each side with its own vectors: the largest difference", "unit": "", "n": 2000}
    yield {**shown, "value": parity}
    for dtype in encoders:
        ratios = [a / b for a, b in zip(seconds["peer"], seconds[dtype], strict=True)]
        yield versus(
            f"passages encoded a second, ours in {dtype}",
            len(some) / median(seconds[dtype]),
            len(some) / median(seconds["peer"]),
            "passages/s",
            ratios,
            apart if dtype == "float32" else 0.0,
            len(some),
        )


def searching(
    peer: Peer,
    folder: Path,
    real: list[NDArray[np.float32]],
    queries: list[NDArray[np.float32]],
    passages: int,
    *,
    fast: bool,
) -> Iterator[dict[str, Any]]:
    """Yield what an index of so many passages costs and how long it searches, beside the peer's."""
    which = "fast-plaid" if fast else "Stanford's PLAID"
    title = f"{passages:,} passages, {which}"
    given, more = recombined(real, passages, 1), recombined(real, max(1, passages // 100), 2)
    packed(folder / "documents.npz", given)
    packed(folder / "more.npz", more)
    packed(folder / "queries.npz", queries)
    start = time.perf_counter()
    index = LateIndex.build(folder / "ours", given, threads=THREADS)
    built = time.perf_counter() - start
    size = index.bytes
    base: dict[str, Any] = {"threads": THREADS, "folder": str(folder / "theirs"), "fast": fast}
    theirs = peer.ask({**base, "do": "build", "documents": str(folder / "documents.npz")})
    n = len(given)
    ratio = theirs["seconds"] / built
    yield versus(f"{title}: build, seconds", built, theirs["seconds"], "s", [ratio], 0.0, n)
    yield versus(f"{title}: bytes a passage", size / n, theirs["bytes"] / n, "bytes", [theirs["bytes"] / size], 0.0, n)
    exact = [top(query, given) for query in queries]
    found = [index.search([query], K) for query in queries]  # also warms what is mapped into memory
    rounds: dict[str, list[float]] = {"ours": [], "peer": []}
    told: dict[str, Any] = {}
    for _ in range(1 if fast else ROUNDS):
        told = peer.ask({**base, "do": "search", "queries": str(folder / "queries.npz"), "k": K})
        rounds["peer"].append(median(told["seconds"]))
        rounds["ours"].append(median(timed(index, query) for query in queries))
    ratios = [a / b for a, b in zip(rounds["peer"], rounds["ours"], strict=True)]
    ours, other = median(rounds["ours"]), median(rounds["peer"])
    yield versus(f"{title}: p50 of a query, milliseconds", ours * 1e3, other * 1e3, "ms", ratios, 0.0, len(queries))
    for name, rows in (("ours", [one.rows[0].tolist() for one in found]), (which, told["rows"])):
        shared = [len(set(a[:K]) & set(b)) / K for a, b in zip(rows, exact, strict=True)]
        value = float(np.mean(shared))
        yield {"case": f"{title}: recall of the ten best, {name}", "value": value, "unit": "", "n": len(queries)}
    if not fast:
        yield from growing(peer, folder, index, given, more, queries, built, title)


def growing(
    peer: Peer,
    folder: Path,
    index: LateIndex,
    given: list[NDArray[np.float16]],
    more: list[NDArray[np.float16]],
    queries: list[NDArray[np.float32]],
    built: float,
    title: str,
) -> Iterator[dict[str, Any]]:
    """Yield what an addition of 1% costs, and whether what grew and shrank is what is built anew."""
    start = time.perf_counter()
    index.add(more)
    took = time.perf_counter() - start
    job = {"do": "add", "documents": str(folder / "more.npz"), "first": len(given), "threads": THREADS}
    theirs = peer.ask(job)["seconds"]
    yield versus(f"{title}: 1% added, seconds", took, theirs, "s", [theirs / took], 0.0, len(more))
    yield {"case": f"{title}: 1% added, share of a build", "value": took / built, "unit": "", "n": len(more)}
    gone = np.random.default_rng(3).choice(len(index), len(index) // 100, replace=False)
    index.delete(gone)
    left = np.setdiff1d(np.arange(len(index)), gone)
    whole = [*given, *more]
    fresh = LateIndex.build(folder / "fresh", (whole[row] for row in left), codec=index.codec, threads=THREADS)
    mine, new = index.search(queries, K), fresh.search(queries, K)
    same = bool((mine.rows == left[new.rows]).all() and (mine.scores == new.scores).all())
    case = f"{title}: 1% added and 1% deleted: rows and scores are those of a fresh build with the same codec"
    yield {"case": case, "value": float(same), "unit": "", "n": len(queries)}
    anew = LateIndex.build(folder / "fresh", (whole[row] for row in left), threads=THREADS)
    shared = [len(set(a) & set(left[b])) / K for a, b in zip(mine.rows, anew.search(queries, K).rows, strict=True)]
    value = float(np.mean(shared))
    yield {
        "case": f"{title}: the same with a codec of its own, shared of ten",
        "value": value,
        "unit": "",
        "n": len(shared),
    }


def recombined(real: list[NDArray[np.float32]], count: int, seed: int) -> list[NDArray[np.float16]]:
    """Return passages of at most `LONGEST` tokens: stretches of two real ones, each token moved by a cosine of .95."""
    random = np.random.default_rng(seed)
    long = [one for one in real if len(one) >= 8]
    found = []
    for _ in range(count):
        size = int(random.integers(LONGEST // 2, LONGEST + 1))
        first, second = (long[int(i)] for i in random.integers(0, len(long), 2))
        cut = int(random.integers(1, size))
        parts = [
            one[int(random.integers(0, max(1, len(one) - n))) :][:n] for one, n in ((first, cut), (second, size - cut))
        ]
        whole = np.concatenate(parts)
        noise = random.normal(size=whole.shape).astype(np.float32)
        whole = whole + noise * np.float32(0.33 / np.sqrt(whole.shape[1]))
        whole /= np.linalg.norm(whole, axis=1, keepdims=True)
        found.append(whole.astype(np.float16))
    return found


def top(query: NDArray[np.float32], documents: Sequence[NDArray[np.float16]]) -> list[int]:
    """Return the ten best of all pairs, scored exactly, some documents at a time."""
    scores = [maxsim(query, Ragged.of(documents[at : at + 20_000])) for at in range(0, len(documents), 20_000)]
    return [int(i) for i in np.argsort(-np.concatenate(scores), kind="stable")[:K]]


def timed(index: LateIndex, query: NDArray[np.float32]) -> float:
    """Return how long a query takes."""
    start = time.perf_counter()
    index.search([query], K)
    return time.perf_counter() - start


def versus(
    case: str, ours: float, peer: float, unit: str, ratios: list[float], parity: float, n: int
) -> dict[str, Any]:
    """Return a case against the peer."""
    spread = {"ratio": median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)}
    return {"case": case, "ours": ours, "peer": peer, "unit": unit, **spread, "parity": parity, "n": n}


def packed(path: Path, rows: Sequence[NDArray[Any]]) -> None:
    """Write vectors, text by text."""
    np.savez(path, vectors=np.concatenate(rows), sizes=[len(one) for one in rows])


def unpacked(path: Path) -> list[NDArray[np.float32]]:
    """Read vectors, text by text."""
    with np.load(path) as held:
        return np.split(held["vectors"], np.cumsum(held["sizes"])[:-1])
