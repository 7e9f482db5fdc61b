"""Deduplication end to end against datatrove's four MinHash stages and against datasketch, on planted near-duplicates.

50,000 documents: 40,000 of one to seven texts of the data sets, and copies of 10,000 of them in which up to 6 words in
a hundred are exchanged. All sides read one JSONL file and write what they keep, by 5-grams of words; ours is the whole
of `curate` with its reasons and reports. A planted pair is found where one of the two is gone; a removal is right where
a document of exact similarity .75 or more exists. datatrove runs with its defaults (14 bands of 8), once by spaCy's
words as it does for English, once by words between white space as ours; it takes all numbers for one, which counts
against its precision where digits differ. One thread, the processor's seconds. Bar: 5 times datatrove's documents a
processor-second.
"""

from __future__ import annotations

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
from benchmarks.minhash import HINT, ONE, PEER, real, told
from pilotfish.measure.intervals import wilson
from pilotfish.rows._sketch_native import packed
from pilotfish.rows._sketch_texts import Packed, plain_bytes, similarities
from pilotfish.rows._verify import jaccard
from pilotfish.rows.dedupe import near_duplicates

ROOT = Path(__file__).resolve().parents[1]
TROVE = ROOT / ".bench" / "datatrove" / "bin" / "python"
TROVE_HINT = "python -m venv .bench/datatrove && .bench/datatrove/bin/pip install -r benchmarks/peers/datatrove.txt"
HERE = ROOT / "benchmarks" / "peers"
THRESHOLD, NGRAM = 0.75, 5
SIDES = ("ours", "datatrove, spaCy's words", "datatrove, words as ours", "datasketch")


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return documents and signatures a processor-second, and recall and precision of all sides."""
    name = "curate-dedup"
    if data is None:
        return {"name": name, "peer": "needs --data: the folder of data sets", "cases": []}
    for python, hint in ((TROVE, TROVE_HINT), (PEER, HINT)):
        if not python.exists():
            return {"name": name, "peer": f"not installed: {hint}", "cases": []}
    cases = Cases(name, quick=quick)
    docs, pairs = documents(real(data), 2500 if quick else 50_000)
    plain = plain_bytes(docs)
    packed_docs = Packed(*packed(plain))
    near = near_duplicates(docs, THRESHOLD, ngram=NGRAM, unit="word", method="exact")
    truly = {place for left, right, _ in near.pairs for place in (left, right)}
    print(f"{len(docs):,} documents, {len(pairs):,} planted, {len(near.removed):,} to remove", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.mkdir()
        with (source / "docs.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"id": str(n), "text": doc}) + "\n" for n, doc in enumerate(docs))
        found = _turns(Path(folder), str(source), 1 if quick else 3)
    for what in ("processor", "signatures"):
        for side in SIDES[1:]:
            cases.add([_against(what, side, len(docs), found)])
    similarity = _similar(packed_docs, pairs)
    for side in SIDES:
        gone = set(range(len(docs))) - {int(one) for one in found[side][0]["kept"]}
        cases.add(judged(side, gone, pairs, similarity, truly))
    cases.add([{"case": "ours: peak memory", "value": found["ours"][0]["mib"], "unit": "MiB", "n": len(docs)}])
    bars = {"documents a processor-second over datatrove's": 5}
    return {"name": name, "peer": "datatrove and datasketch, see benchmarks/peers", "bars": bars, "cases": cases.found}


def documents(texts: Sequence[str], count: int, seed: int = 0) -> tuple[list[str], list[tuple[int, int]]]:
    """Return documents, one in five a changed copy of another, and which are copies of which."""
    dice = random.Random(seed)
    docs = [" ".join(dice.choice(texts) for _ in range(dice.randint(1, 7))) for _ in range(count * 4 // 5)]
    words = sorted({word for text in texts[:2000] for word in text.split()})
    pairs = []
    for place in dice.sample(range(len(docs)), count - len(docs)):
        share = dice.uniform(0, 0.06)
        copy = [dice.choice(words) if dice.random() < share else word for word in docs[place].split()]
        pairs.append((place, len(docs)))
        docs.append(" ".join(copy))
    order = list(range(len(docs)))
    dice.shuffle(order)
    place_of = {old: new for new, old in enumerate(order)}
    return [docs[old] for old in order], [(place_of[a], place_of[b]) for a, b in pairs]


def _turns(folder: Path, source: str, times: int) -> dict[str, list[dict[str, Any]]]:
    """Run the sides in turn; each run has a process of its own, so that none finds another's pages or caches."""
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for turn in range(times):
        for place, side in enumerate(SIDES):
            out = folder / f"{turn}-{place}"
            out.mkdir()
            job: dict[str, Any] = {"source": source, "folder": str(out), "ngram": NGRAM}
            if side.startswith("datatrove"):
                peer = Peer(TROVE, HERE / "datatrove_dedup_worker.py", TROVE_HINT, ONE)
                job |= {"words": "spacy" if "spaCy" in side else "space", "buckets": 14, "rows": 8}
            else:
                python = Path(sys.executable) if side == "ours" else PEER
                peer = Peer(python, HERE / "dedup_worker.py", HINT, ONE)
                job |= {"which": side, "threshold": THRESHOLD, "size": 128}
            found[side].append(peer.ask(job))
            peer.close()
    return found


def _against(what: str, side: str, count: int, found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    ours = [count / run[what] for run in found["ours"]]
    peer = [count / run[what] for run in found[side]]
    ratios = [a / b for a, b in zip(ours, peer, strict=True)]
    title = "documents end to end" if what == "processor" else "signatures from texts"
    kept = [set(found[which][0]["kept"]) for which in ("ours", side)]
    return {
        "case": f"{title} against {side}",
        "ours": statistics.median(ours),
        "peer": statistics.median(peer),
        "unit": "a processor-second",
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        # The share of documents that one keeps and the other does not.
        "parity": len(kept[0] ^ kept[1]) / count,
        "n": len(ratios),
    }


def _similar(texts: Packed, pairs: Sequence[tuple[int, int]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    left, right = np.array(pairs, dtype=np.int64).T
    found = similarities(texts, left, right, NGRAM, "word")
    return jaccard(texts, left, right, NGRAM, "word") if found is None else found


def judged(
    side: str,
    gone: set[int],
    pairs: Sequence[tuple[int, int]],
    similarity: np.ndarray[Any, np.dtype[np.float64]],
    truly: set[int],
) -> Iterable[dict[str, Any]]:
    """Yield recall of the planted pairs, as a whole and by similarity, and precision of what was removed."""
    for low, high in ((THRESHOLD, 1.01), (THRESHOLD, 0.8), (0.8, 0.9), (0.9, 1.01)):
        hits = [a in gone or b in gone for (a, b), s in zip(pairs, similarity, strict=True) if low <= s < high]
        if hits:
            title = f"{side}: recall of planted pairs, {low} to {min(high, 1):.2g}"
            yield told(title, wilson(sum(hits), len(hits)))
    if gone:
        yield told(f"{side}: removed documents that are near another", wilson(len(gone & truly), len(gone)))
