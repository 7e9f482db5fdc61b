"""Near-duplicates by MinHash against datasketch, on real texts with planted ones, and what a million rows take.

Texts: BANKING77, GSM8K's questions, Self-Instruct's seeds, PubMedQA's contexts and WikiText-2's paragraphs, each once;
of one in four a copy is planted whose words are exchanged until its Jaccard similarity is one drawn from .7 to .95. The
similarity is computed over sets of character 5-grams, exactly, for every planted and every found pair. Each side runs
in a process of its own, one thread, in turn. Bars: recall and precision .95, 3 times datasketch.
"""

from __future__ import annotations

import csv
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._peer import Peer
from benchmarks._result import Cases
from benchmarks.peers.datasketch_worker import shingled
from pilotfish.measure.intervals import Interval, bootstrap, wilson
from pilotfish.rows._groups import components
from pilotfish.rows._shingles import normalised
from pilotfish.rows.dedupe import near_duplicates

ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / ".bench" / "datasketch" / "bin" / "python"
HINT = "python -m venv .bench/datasketch && .bench/datasketch/bin/pip install -r benchmarks/peers/datasketch.txt"
SCRIPT = ROOT / "benchmarks" / "peers" / "datasketch_worker.py"
BARS = {"recall": 0.95, "precision": 0.95, "speed": 3.0}
NGRAM, SIZE, THRESHOLD = 5, 128, 0.7
ONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
WHAT = {
    "sketch": "sketches from texts",
    "hashed": "sketches from hashed n-grams",
    "groups": "texts to near pairs",
}


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return speed against datasketch, recall and precision of both, and the time and memory of a million rows."""
    if data is None:
        return {"name": "minhash", "peer": "needs --data: the folder of data sets", "cases": []}
    if not PEER.exists():
        return {"name": "minhash", "peer": f"not installed: {HINT}", "cases": []}
    cases = Cases("minhash", quick=quick)
    dice = random.Random(0)
    texts = real(data)
    dice.shuffle(texts)
    texts = texts[: 2000 if quick else len(texts)]
    pairs, similarities = planted(texts, dice)
    print(f"{len(texts):,} texts, {len(pairs):,} of them planted", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.json"
        file.write_text(json.dumps(texts), encoding="utf-8")
        job = {"texts": str(file), "ngram": NGRAM, "size": SIZE, "threshold": THRESHOLD}
        sides = {
            "ours": Peer(Path(sys.executable), SCRIPT, HINT, ONE),
            "datasketch": Peer(PEER, SCRIPT, HINT, ONE),
        }
        for which, side in sides.items():
            side.ask({**job, "which": which})
        asked = {"do": "estimate", "pairs": pairs}
        estimates = {which: np.array(side.ask(asked)["estimates"]) for which, side in sides.items()}
        parity = abs(float(np.mean(estimates["ours"] - estimates["datasketch"])))
        found: dict[str, list[list[int]]] = {}
        for what, title in WHAT.items():
            seconds: dict[str, list[float]] = {which: [] for which in sides}
            for _ in range(1 if quick else 5):
                for which, side in sides.items():
                    told = side.ask({"do": what})
                    seconds[which].append(told["seconds"])
                    if what == "groups":
                        found[which] = told["pairs"]
            cases.add([against(title, seconds["ours"], seconds["datasketch"], parity)])
        for which in sides:
            cases.add(judged(which, texts, pairs, similarities, found[which], estimates[which]))
        count = 50_000 if quick else 1_000_000
        many = sides["ours"].ask({"do": "many", "count": count})
        for side in sides.values():
            side.close()
    for name, unit in (("add", "seconds"), ("search", "seconds"), ("mib", "MiB")):
        cases.add([{"case": f"{count:,} rows: {name}", "value": many[name], "unit": unit, "n": count}])
    cases.add(beside_exact(texts))
    return {
        "name": "minhash",
        "peer": "datasketch, see benchmarks/peers/datasketch.txt",
        "bars": BARS,
        "cases": cases.found,
    }


def real(data: Path) -> list[str]:
    """Return the normalised texts, each once."""
    found: list[str] = []
    for name in ("train.csv", "test.csv"):
        with (data / "banking77" / name).open(encoding="utf-8", newline="") as file:
            found += [row["text"] for row in csv.DictReader(file)]
    for name in ("train.jsonl", "test.jsonl"):
        found += [row["question"] for row in _lines(data / "gsm8k" / name)]
    for row in _lines(data / "self_instruct" / "data" / "seed_tasks.jsonl"):
        found += [row["instruction"], *(f"{one['input']} {one['output']}" for one in row["instances"])]
    papers = json.loads((data / "pubmedqa" / "ori_pqal.json").read_text(encoding="utf-8"))
    found += [" ".join(paper["CONTEXTS"]) for paper in papers.values()]
    for name in ("valid.txt", "test.txt"):
        paragraphs = (data / "wikitext2_eval" / name).read_text(encoding="utf-8").split("\n")
        found += [paragraph for paragraph in paragraphs if len(paragraph) > 60]
    return list(dict.fromkeys(filter(None, map(normalised, found))))


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def planted(texts: list[str], dice: random.Random) -> tuple[list[tuple[int, int]], list[float]]:
    """Put a copy of one text in four at the end, and return (text, copy) with their exact similarities.

    Words of the copy are exchanged for words of the corpus, or left out, until the similarity is at most the one drawn;
    a copy that has then fallen below .7, as a short text's may, is thrown away.
    """
    words = sorted({word for text in texts[:2000] for word in text.split()})
    pairs, similarities = [], []
    for place in dice.sample(range(len(texts)), len(texts) // 4):
        copy, wanted, similarity = texts[place].split(), dice.uniform(0.7, 0.95), 1.0
        own = shingled(texts[place], NGRAM)
        while len(copy) > 3 and similarity > wanted:
            at = dice.randrange(len(copy))
            copy[at : at + 1] = [dice.choice(words)] if dice.random() < 0.7 else []
            other = shingled(" ".join(copy), NGRAM)
            similarity = len(own & other) / len(own | other)
        if 0.7 <= similarity <= 0.95:
            pairs.append((place, len(texts)))
            similarities.append(similarity)
            texts.append(" ".join(copy))
    return pairs, similarities


def against(title: str, ours: Sequence[float], peer: Sequence[float], parity: float) -> dict[str, Any]:
    """Return the case of two sides' seconds, taken in turn."""
    ratios = [b / a for a, b in zip(ours, peer, strict=True)]
    return {
        "case": f"{title} against datasketch",
        "ours": statistics.median(ours),
        "peer": statistics.median(peer),
        "unit": "seconds",
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "parity": parity,
        "n": len(ratios),
    }


def judged(
    which: str,
    texts: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    similarities: Sequence[float],
    found: Sequence[Sequence[int]],
    estimates: np.ndarray[Any, np.dtype[np.float64]],
) -> Iterable[dict[str, Any]]:
    """Yield recall of the planted pairs (in one group), precision of the found ones, and the estimates' error."""
    left, right = np.array(found, dtype=np.int64).reshape(-1, 2).T
    group = components(len(texts), left, right)
    hits = [bool(group[a] == group[b]) for a, b in pairs]
    yield told(f"{which}: recall of planted pairs, .7 to .95", wilson(sum(hits), len(hits)))
    for low, high in ((0.7, 0.75), (0.75, 0.8), (0.8, 1.0)):
        some = [hit for hit, s in zip(hits, similarities, strict=True) if low <= s < high]
        if some:
            yield told(f"{which}: recall of planted pairs, {low} to {high}", wilson(sum(some), len(some)))
    sets = {place: shingled(texts[place], NGRAM) for pair in found for place in pair}
    true = [len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= THRESHOLD - 1e-9 for a, b in found]
    yield told(f"{which}: precision of the pairs found", wilson(sum(true), len(true)))
    # Errors in units of the standard error of classic permutations: 1 is what theory gives.
    s = np.array(similarities)
    errors = (estimates - s) / np.sqrt(s * (1 - s) / SIZE)
    yield told(f"{which}: squared error of estimates over the binomial one", bootstrap(errors**2))
    yield told(f"{which}: mean error of estimates, in standard errors", bootstrap(errors))


def beside_exact(texts: Sequence[str]) -> Iterable[dict[str, Any]]:
    """Yield the share of the exact method's removals that MinHash finds, on the short texts (the exact one is slow)."""
    some = [text for text in texts if len(text) < 120][:10_000]
    exact = near_duplicates(some, THRESHOLD, method="exact")
    quick = set(near_duplicates(some, THRESHOLD, method="minhash").removed)
    hits = sum(place in quick for place in exact.removed)
    yield told("short texts, character trigrams: removals of the exact method found", wilson(hits, len(exact.removed)))


def told(case: str, interval: Interval) -> dict[str, Any]:
    """Return a case of a number with its interval."""
    return {
        "case": case,
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "unit": "standard errors" if "in standard errors" in case else "share" if "squared" not in case else "ratio",
        "n": interval.n,
    }
