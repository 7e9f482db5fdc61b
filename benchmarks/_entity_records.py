"""Records of the same thing in Ditto's sets: F1 of our matchers and of a threshold, recall of the blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import estimated
from pilotfish._extras import need
from pilotfish.compete.entities.match import Blocking, Matcher, Pair, PairEncoder, judged
from pilotfish.compete.entities.match.encoded import FIT
from pilotfish.compete.entities.match.pairs import labels_of, serialised
from pilotfish.compete.entities.match.report import best_threshold
from pilotfish.compete.entities.names import normalised
from pilotfish.compete.entities.report import f1_of
from pilotfish.measure.intervals import bootstrap
from pilotfish.models.encoder import Encoder
from pilotfish.rows.bm25 import WordScores

__all__ = ["counted", "encoded", "records"]

BY: tuple[Literal["words", "trigrams"], ...] = ("words", "trigrams")
Floats = NDArray[np.float64]


def counted(title: str, value: float, unit: str, n: int) -> dict[str, Any]:
    """Return a case of a number that has no interval."""
    return {"case": title, "value": float(value), "unit": unit, "n": n}


def encoded(name: str, parts: dict[str, list[Pair]], encoder: Encoder, runs: Path) -> Iterator[dict[str, Any]]:
    """Yield F1 of an encoder fine-tuned on the pairs of one of Ditto's sets, beside that of similarities."""
    title = _title(name)
    train, valid, test = (parts[part] for part in ("train", "valid", "test"))
    truth = np.array(labels_of(test))
    folder = runs / f"pairs.{title.replace(' ', '-')}"
    if (folder / "pairs.json").is_file():
        read = PairEncoder.load(folder)
    else:
        # Two passes over thousands of pairs, five over hundreds.
        read = PairEncoder(encoder, replace(FIT, epochs=2 if len(train) > 2000 else 5)).fit(train, valid)
        read.save(folder)
    matcher = Matcher().fit(train, valid)
    both = (read.probabilities(test) >= read.threshold_, matcher.probabilities(test) >= matcher.threshold_)
    yield estimated(f"{title}, MiniLM on pairs: F1", read.measure(test).f1, "F1")
    yield _over(f"{title}, MiniLM on pairs over similarities: F1", both[0], both[1], truth)


def records(name: str, parts: dict[str, list[Pair]]) -> Iterator[dict[str, Any]]:
    """Yield F1 of one of Ditto's sets, and how well its blocks hold the pairs."""
    title = _title(name)
    train, valid, test = (parts[part] for part in ("train", "valid", "test"))
    truth, tuned = np.array(labels_of(test)), np.array(labels_of(valid))
    matcher = Matcher().fit(train, valid)
    scored = {f"similarities ({matcher.kind_})": (matcher.probabilities(test), matcher.threshold_)}
    fuzz = need("rapidfuzz.fuzz", "entities")

    def ratio(pairs: Sequence[Pair]) -> Floats:
        texts = [
            (normalised(" ".join(pair.left.values())), normalised(" ".join(pair.right.values()))) for pair in pairs
        ]
        return np.array([fuzz.token_set_ratio(*pair) for pair in texts]) / 100

    right = list(dict.fromkeys(serialised(pair.right) for some in parts.values() for pair in some))
    words = WordScores(right)
    place = {text: at for at, text in enumerate(right)}

    def shared(pairs: Sequence[Pair]) -> Floats:
        found = np.zeros(len(pairs))
        for at, pair in enumerate(pairs):
            told = words.scores([serialised(pair.left)])[0]
            found[at] = told[place[serialised(pair.right)]] / max(1e-9, float(told.max()))
        return found

    for other, way in (("rapidfuzz", ratio), ("bm25", shared)):
        scored[other] = (way(test), best_threshold(way(valid), tuned)[0])
    called = {}
    for kind, (scores, threshold) in scored.items():
        report = judged(scores, truth.tolist(), threshold)
        called[kind] = scores >= threshold
        yield estimated(f"{title}, {kind}: F1", report.f1, "F1")
    mine = next(iter(called))
    for other in ("rapidfuzz", "bm25"):
        yield _over(f"{title}, {mine} over {other}: F1", called[mine], called[other], truth)
    tables = [
        list({serialised(r): r for some in parts.values() for p in some for r in [getattr(p, side)]}.values())
        for side in ("left", "right")
    ]
    places = [{serialised(record): at for at, record in enumerate(table)} for table in tables]
    every = [pair for some in parts.values() for pair in some]
    same = [(places[0][serialised(p.left)], places[1][serialised(p.right)]) for p in every if p.same]
    for by in BY:
        blocks = Blocking(by).pairs(tables[0], tables[1])
        yield estimated(f"{title}, blocks by {by}: recall", blocks.recall(same), "share")
        yield counted(f"{title}, blocks by {by}: pairs left out", blocks.reduction, "share", len(blocks))


def _over(title: str, one: NDArray[np.bool_], other: NDArray[np.bool_], truth: NDArray[np.bool_]) -> dict[str, Any]:
    rows = np.stack([one & truth, one, truth, other & truth, other, truth], axis=1)
    gain = bootstrap(rows, lambda some: f1_of(some[:, :3]) - f1_of(some[:, 3:]), method="percentile", resamples=2000)
    return estimated(title, gain, "F1")


def _title(name: str) -> str:
    return name.replace("Structured/", "").replace("/", " ")
