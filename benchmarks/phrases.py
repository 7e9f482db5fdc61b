"""Vectors of phrases: a small encoder taught on mined pairs, against characters, other poolings and a large model.

Sets: seven of words, English noun compounds, and the test part of STS-B; Spearman with what people say. A compound is
judged by the cosine of its vector with the mean of its words' vectors. Beside all-MiniLM-L6-v2 by its poolings stand
character n-grams and static token vectors distilled from it.

What is taught: pairs of the usual kinds mined from WikiText-2's evaluation articles and wikigold, and pairs that
Qwen2.5-Coder-1.5B writes for their most frequent phrases. No pair of a set is among them; and once more without any
pair one of whose phrases is a word of the word sets or a compound, so that none of them is taught (longer phrases, and
sentences in which a phrase was masked, may hold such words). When to stop, and how much of the new weights is kept, is
decided on mined pairs alone; one training each, one pass over the pairs. (While the recipe was made an earlier one was
looked at on MTurk-287 and on STS-B's development part.) Differences are paired; the mean over the sets of words draws
pairs within each set.

The large model, on a drawn sample of each set, beside the encoders on the same pairs: its states (the mean; the state
behind a prompt for one word), and the expected number from 0 to 10 that it gives when asked. wikigold's names are put
into four groups, alone and in their sentences: normalised mutual information with their types.

What was encoded, written and learnt is kept (`.bench/phrases`). `--quick`: two sets, one pooling, few pairs, no large
model.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._phrase_sets import Judged, compounds, forbidden, mentions, sentences, sts, words
from benchmarks._result import Cases, estimated
from pilotfish.compete.phrases.characters import Characters
from pilotfish.compete.phrases.cluster import grouped
from pilotfish.compete.phrases.find import phrases_in
from pilotfish.compete.phrases.hidden import Hidden
from pilotfish.compete.phrases.judged import LITERAL, SIMILAR, judged
from pilotfish.compete.phrases.learn import FIT, PhraseLearner
from pilotfish.compete.phrases.measured import above, correlated, cosines, spearman
from pilotfish.compete.phrases.mine import mined
from pilotfish.compete.phrases.pair import Pair, distinct, normal
from pilotfish.compete.phrases.pooling import POOLINGS, Pooling, repooled
from pilotfish.compete.phrases.spans import in_context
from pilotfish.compete.phrases.taught import Taught, taught_encoder
from pilotfish.compete.phrases.written import written
from pilotfish.measure.intervals import bootstrap, paired_bootstrap
from pilotfish.models.classify.features import StaticFeatures
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader
from pilotfish.retrieve.dense import Encodes
from pilotfish.rows.vectors import unit_vectors

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "phrases"
ENCODER = "all-minilm-l6-v2"
SMALLER, LARGE = "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct"
ASKED, WROTE, MOST, SEED = 60, 60, 800, 5
SAMPLED = ("SimLex-999", "SimVerb-3500", "WS-353", "noun compounds", "STS-B test")
Floats = NDArray[np.float64]


class Static:
    """Static token vectors distilled from an encoder, as an encoder."""

    def __init__(self, encoder: Encoder) -> None:
        self.features = StaticFeatures(encoder).fit([])

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return int(self.features.model_.dim)

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Return (texts, dimension)."""
        return self.features.transform(texts)


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return what each way of making vectors of phrases is worth."""
    if data is None:
        return {"name": "phrases", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("phrases", quick=quick)
    sets = [*words(data), compounds(data), sts(data)]
    if quick:
        sets = [replace_some(one, 200) for one in sets if one.name in ("SimLex-999", "noun compounds")]
    encoder = Encoder(ENCODER, device="cpu")
    told: dict[str, dict[str, Floats]] = {}
    ways: dict[str, Callable[[], Encodes]] = {"characters": Characters}
    if not quick:
        ways["static"] = lambda: Static(encoder)
    poolings: Sequence[Pooling] = ("own",) if quick else POOLINGS
    for pooling in poolings:
        ways[f"MiniLM, {pooling}"] = lambda pooling=pooling: repooled(encoder, pooling)  # type: ignore[misc]
    for name, make in ways.items():
        told[name] = scores_of(name, make, sets, quick=quick)
        cases.add(
            estimated(f"{one.name}: {name}", correlated(told[name][one.name], one.people), "Spearman") for one in sets
        )
    teaching = ["no pair of the sets"] if quick else ["no pair of the sets", "no word of the sets"]
    for strict in teaching:
        folder, report, counts = taught(data, encoder, sets, strict == "no word of the sets", quick=quick)
        name = f"MiniLM taught, {strict}"
        cases.add(of_teaching(name, report, counts))
        told[name] = scores_of(name, lambda folder=folder: taught_encoder(folder)[0], sets, quick=quick)  # type: ignore[misc]
        cases.add(gains(name, told[name], told["MiniLM, own"], sets))
        if not quick:
            cases.add(groups_of(name, taught_encoder(folder)[0], data))
    if not quick:
        cases.add(groups_of("characters", Characters(), data))
        cases.add(groups_of("MiniLM, own", encoder, data, encoder))
        cases.add(large(sets, told))
    return {"name": "phrases", "peer": f"{SMALLER} and {LARGE}, states and answers", "cases": cases.found}


def replace_some(one: Judged, count: int) -> Judged:
    """Return a sample of a set as a set."""
    rows = one.some(count, SEED)
    return Judged(one.name, [one.pairs[i] for i in rows], one.people[rows], one.kind)


def near(encoder: Encodes, one: Judged) -> Floats:
    """Return what vectors say of a set's pairs; of a compound, how near it is to the mean of its words."""
    if one.kind != "compounds":
        return cosines(encoder, one.pairs)
    phrases = [phrase for phrase, _ in one.pairs]
    parts = [phrase.split() for phrase in phrases]
    places = {word: at for at, word in enumerate(sorted({word for some in parts for word in some}))}
    unit = unit_vectors(encoder.encode(list(places))).astype(np.float64)
    whole = unit_vectors(encoder.encode(phrases)).astype(np.float64)
    means = unit_vectors(np.stack([unit[[places[word] for word in some]].mean(axis=0) for some in parts]))
    return np.asarray((whole * means).sum(axis=1))


def scores_of(name: str, make: Callable[[], Encodes], sets: Sequence[Judged], *, quick: bool) -> dict[str, Floats]:
    """Return what a way says of all sets, kept."""
    path = RUNS / ("quick" if quick else "whole") / f"{name.replace(', ', '-').replace(' ', '-')}.json"
    if not path.exists():
        encoder = make()
        found = {one.name: near(encoder, one).tolist() for one in sets}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found), encoding="utf-8")
    return {key: np.array(value) for key, value in json.loads(path.read_text(encoding="utf-8")).items()}


def taught(
    data: Path, encoder: Encoder, sets: Sequence[Judged], strict: bool, *, quick: bool
) -> tuple[Path, Taught, dict[str, int]]:
    """Return the folder of an encoder that was taught pairs, what it learnt, and how many pairs of each kind."""
    away, texts = forbidden(sets)
    folder = RUNS / ("quick" if quick else "whole") / f"taught-{'strict' if strict else 'pairs'}"
    counts = folder / "counts.json"
    if not (folder / "phrases.json").exists():
        pairs = gathered(data, away, quick=quick)
        if strict:
            pairs = [pair for pair in pairs if not {normal(pair.a), normal(pair.b)} & texts]
        how = replace(FIT, steps=6, batch_tokens=512) if quick else replace(FIT, epochs=1)
        learner = PhraseLearner(encoder, replace(how, seed=SEED), folder=folder / "run").fit(pairs)
        learner.save(folder)
        kinds: dict[str, int] = {}
        for pair in pairs:
            kinds[pair.kind] = kinds.get(pair.kind, 0) + 1
        counts.write_text(json.dumps(kinds), encoding="utf-8")
    return folder, taught_encoder(folder)[1], json.loads(counts.read_text(encoding="utf-8"))


def gathered(data: Path, away: Sequence[tuple[str, str]], *, quick: bool) -> list[Pair]:
    """Return the pairs that are mined, and those that the large model writes."""
    texts = sentences(data, 8 if quick else None)
    found = phrases_in(texts, least=3)
    pairs = mined(texts, phrases=found, without=away, most=MOST).pairs
    if quick:
        return pairs[:600]
    model = LocalModel(LARGE, quantize="int8")
    said = written(model, [one.text for one in found[:WROTE]], RUNS / "written.sqlite", without=away, max_tokens=32)
    return distinct(said.pairs + pairs, away)


def of_teaching(name: str, report: Taught, counts: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Yield what was learnt from, and the measure on mined pairs that were kept back."""
    told = ", ".join(f"{kind} {count}" for kind, count in counts.items())
    yield {"case": f"{name}: pairs ({told})", "value": report.pairs, "unit": "pairs learnt from", "n": report.pairs}
    yield {"case": f"{name}: share of the tuned weights", "value": report.share, "unit": "", "n": report.validation}
    for when, interval in (("before", report.before), ("after", report.after), ("gain", report.gain)):
        yield estimated(f"{name}: mined pairs kept back, {when}", interval, "reciprocal rank")


def gains(
    name: str, mine: dict[str, Floats], other: dict[str, Floats], sets: Sequence[Judged]
) -> Iterator[dict[str, Any]]:
    """Yield the correlations of a taught encoder, and by how much they are above the untaught one's."""
    for one in sets:
        yield estimated(f"{one.name}: {name}", correlated(mine[one.name], one.people), "Spearman")
        gap = above(mine[one.name], other[one.name], one.people)
        yield estimated(f"{one.name}: {name}, above MiniLM, own", gap, "Spearman")
    some = [one for one in sets if one.kind == "words"]
    ids = np.concatenate([np.full(len(one.pairs), at) for at, one in enumerate(some)])
    people = np.concatenate([one.people for one in some])
    tables = [
        np.stack([ids, np.concatenate([told[one.name] for one in some]), people], axis=1) for told in (mine, other)
    ]
    how: dict[str, Any] = {"method": "percentile", "resamples": 2000, "strata": ids, "seed": SEED}
    yield estimated(f"words, mean of {len(some)} sets: {name}", bootstrap(tables[0], mean_of_sets, **how), "Spearman")
    gap = paired_bootstrap(tables[0], tables[1], mean_of_sets, **how)
    yield estimated(f"words, mean of {len(some)} sets: {name}, above MiniLM, own", gap, "Spearman")


def mean_of_sets(rows: NDArray[Any]) -> float:
    """Return the mean over sets of Spearman's correlation, of rows of (set, score, people)."""
    return float(np.mean([spearman(rows[rows[:, 0] == one, 1:]) for one in np.unique(rows[:, 0])]))


def groups_of(name: str, encoder: Encodes, data: Path, own: Encoder | None = None) -> Iterator[dict[str, Any]]:
    """Yield how far four groups of wikigold's names are their types, alone and, of a plain encoder, in sentences."""
    held = mentions(data)
    phrases = [span.phrase for span, _ in held]
    ways: dict[str, Callable[[], NDArray[np.float32]]] = {"alone": lambda: unit_vectors(encoder.encode(phrases))}
    if own is not None:
        ways["in their sentences"] = lambda: in_context(own, [span for span, _ in held])
    types = np.array([kind for _, kind in held])
    for where, make in ways.items():
        labels = np.zeros(len(held))
        for number, one in enumerate(grouped(make(), phrases, 4, None, "k-means", SEED)):
            labels[list(one.rows)] = number
        both = np.stack([labels, np.unique(types, return_inverse=True)[1]], axis=1)
        interval = bootstrap(both, shared, method="percentile", resamples=500, seed=SEED)
        yield estimated(f"wikigold's names {where}, four groups: {name}", interval, "NMI")


def shared(rows: NDArray[Any]) -> float:
    """Return the normalised mutual information of two columns of classes."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(rows[:, 0], rows[:, 1]))


def large(sets: Sequence[Judged], told: dict[str, dict[str, Floats]]) -> Iterator[dict[str, Any]]:
    """Yield what large models make of a sample of each set, beside the encoders on the same pairs."""
    taken = [(one, one.some(ASKED, SEED)) for one in sets if one.name in SAMPLED]
    small = [name for name in told if name == "MiniLM, own" or name.startswith("MiniLM taught")]
    for one, rows in taken:
        for name in small:
            found = correlated(told[name][one.name][rows], one.people[rows])
            yield estimated(f"{one.name}, {len(rows)} pairs: {name}", found, "Spearman")
    for weights in (SMALLER, LARGE):
        ways = (
            ("asked for a number", "states, mean", "states, one word")
            if weights == SMALLER
            else ("asked for a number",)
        )
        for way in ways:
            for one, rows in taken:
                scores, seconds = asked(weights, way, one, rows)
                title = f"{one.name}, {len(rows)} pairs: {weights}, {way}"
                yield estimated(title, correlated(scores, one.people[rows]), "Spearman")
                yield {"case": f"{title}: a pair", "value": seconds, "unit": "seconds", "n": len(rows)}
                for name in small:
                    gap = above(told[name][one.name][rows], scores, one.people[rows])
                    yield estimated(f"{one.name}, {len(rows)} pairs: {name}, above {weights}, {way}", gap, "Spearman")


def asked(weights: str, way: str, one: Judged, rows: NDArray[np.int64]) -> tuple[Floats, float]:
    """Return what a large model makes of a set's sample, and the seconds a pair; kept."""
    key = hashlib.sha256(json.dumps([weights, way, one.name, rows.tolist()]).encode()).hexdigest()[:16]
    path = RUNS / "large" / f"{key}.json"
    if not path.exists():
        sample = Judged(one.name, [one.pairs[i] for i in rows], one.people[rows], one.kind)
        start = time.perf_counter()
        if way == "asked for a number":
            prompt = LITERAL if one.kind == "compounds" else SIMILAR
            scores = judged(_local(weights), sample.pairs, path.with_suffix(".sqlite"), prompt=prompt).scores
        else:
            scores = near(Hidden(_reader(weights), "mean" if way == "states, mean" else "last"), sample)
        seconds = (time.perf_counter() - start) / len(rows)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"scores": scores.tolist(), "seconds": seconds}), encoding="utf-8")
    held = json.loads(path.read_text(encoding="utf-8"))
    return np.array(held["scores"]), float(held["seconds"])


_held: dict[str, Any] = {}


def _local(weights: str) -> LocalModel:
    model: LocalModel = _one(f"local {weights}", lambda: LocalModel(weights).load())
    return model


def _reader(weights: str) -> Reader:
    reader: Reader = _one(f"reader {weights}", lambda: Reader(weights).load())
    return reader


def _one(name: str, make: Callable[[], Any]) -> Any:
    """Return a model that is the only one held."""
    if name not in _held:
        _held.clear()
        _held[name] = make()
    return _held[name]
