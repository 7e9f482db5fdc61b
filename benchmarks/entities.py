"""Entities: names found among 100,000, mentions linked with NIL, hard ones left to a large model, records matched.

The base: 100,000 entities, of wikigold (see `_entity_sets`), DBpedia-Entity v2's names, and invented names. Misspelt
DBpedia names are looked up by our names, by rapidfuzz over all names (its weighted ratio) and by BM25; recall at 1 and
10, and the time of a query in one thread. DBpedia-Entity's own queries are asked of the names alone, which is all that
is at hand of its entities; late interaction of the first 20,000 of them. Mentions of wikigold are linked; the weights
are learnt on half of the entities' mentions, the thresholds of all ways chosen on a fifth, the rest told. Beside the
linker: the nearest name by rapidfuzz, and BM25. Of the mentions that are told, those that are less easy than .97 go to
Qwen2.5-Coder-1.5B (int8) too, which chooses among four candidates or none; half of the mentions choose what is easy,
the others tell the accuracy and the tokens saved.

Records: Ditto's five sets with their own parts; similarities under a linear model or trees, MiniLM fine-tuned on pairs
(five passes, Amazon-Google two), against a threshold on rapidfuzz's token set ratio and on BM25's share of the best
possible score; all thresholds are chosen on the valid part. The blocks' recall is of all pairs of the same thing.

What was built and learnt is kept in `.bench/entities`. `--quick` takes 3,000 entities, names and words, and one set.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._entity_records import counted, encoded, records
from benchmarks._entity_sets import DITTO, Asked, corrupted, dbpedia, filled, queries, record_pairs, wikigold
from benchmarks._result import Cases, estimated
from pilotfish._extras import need
from pilotfish.compete.entities import (
    Entity,
    EntityBase,
    LinkedModel,
    Linker,
    LinkReport,
    Mention,
    SplitTrial,
    reported,
    tried,
)
from pilotfish.compete.entities.choice import question
from pilotfish.compete.entities.names import normalised
from pilotfish.compete.entities.report import f1_of
from pilotfish.errors import DataError
from pilotfish.measure.intervals import Interval, bootstrap, paired_bootstrap, wilson
from pilotfish.measure.ranking import metric_of
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.retrieve import Encoders
from pilotfish.retrieve.dense import Vectors
from pilotfish.rows.split import split

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "entities"
SMALL, LARGE = "all-minilm-l6-v2", "qwen2.5-coder-1.5b-instruct"
SIZE, LATE, ASKED, BRUTE, TIMED = 100_000, 20_000, 1000, 100, 300
CERTAIN, SHOWN = 0.97, 4
BARS = {"p95 of a query, milliseconds": 20.0}
Floats = NDArray[np.float64]


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return the figures of names, links, the split and records."""
    if data is None:
        return {"name": "entities", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("entities", quick=quick)
    names, asked, said = wikigold(data)
    others = [one for one in dbpedia(data) if normalised(one.name) not in said]
    if quick:
        others = others[:2500]
    size = 3000 if quick else SIZE
    entities = [*names, *others]
    entities += filled(entities, size)
    small = Encoder(SMALL, device="cpu", threads=1)
    ways: dict[str, Any] = {"bm25": None} if quick else {"bm25": None, "dense": Vectors(search="graph")}
    RUNS.mkdir(parents=True, exist_ok=True)
    folder = RUNS / ("base.quick" if quick else "base")
    encoders = Encoders() if quick else Encoders(dense=small)
    with EntityBase.create(folder, ways, encoders=encoders) as base:
        started = time.perf_counter()
        added = base.add(entities)
        if added.new:
            cases.add(
                [
                    counted(
                        f"entities taken in, {'+'.join(base.ways)}",
                        added.new / (time.perf_counter() - started),
                        "a second",
                        added.new,
                    )
                ]
            )
        cases.add(by_names(base, entities, others, 100 if quick else ASKED, 30 if quick else BRUTE))
        if not quick:
            cases.add(by_queries(base, data, ["names", "bm25", "dense"]))
        cases.add(timed(base, asked, 50 if quick else TIMED))
        cases.add(linked(base, entities, asked))
        for name in DITTO[1:2] if quick else DITTO:
            cases.add(records(name, record_pairs(data, name)))
        if not quick:
            cases.add(with_large(Linker.load(RUNS / "linker", base), dealt(asked)[2], CERTAIN))
    if not quick:
        with EntityBase.create(RUNS / "base.late", ["bm25", "late"], encoders=Encoders(late=SMALL)) as base:
            base.add(entities[:LATE])
            cases.add(by_queries(base, data, ["names", "bm25", "late"]))
            cases.add(timed(base, asked, TIMED))
        for name in (*DITTO[1:], DITTO[0]):
            cases.add(encoded(name, record_pairs(data, name), small, RUNS))
    return {"name": "entities", "peer": "rapidfuzz and BM25", "bars": BARS, "cases": cases.found}


def by_names(
    base: EntityBase, entities: Sequence[Entity], others: Sequence[Entity], count: int, brute: int
) -> Iterator[dict[str, Any]]:
    """Yield recall and time of misspelt names."""
    rng = np.random.default_rng(1)
    drawn = [others[int(place)] for place in rng.choice(len(others), count, replace=False)]
    typed = [(one, *corrupted(one.name, rng)) for one in drawn]
    surfaces = [surface for _, surface, _ in typed]
    fuzzy = need("rapidfuzz", "entities")
    known = [normalised(one.name) for one in entities]

    def nearest(surface: str) -> list[str]:
        found = fuzzy.process.extract(normalised(surface), known, scorer=fuzzy.fuzz.WRatio, limit=10)
        return [entities[place].id for _, _, place in found]

    ranked = {
        "names": [[hit.passage.id for hit in hits] for hits in base.search(surfaces, 10, ["names"])],
        "bm25": [[hit.passage.id for hit in hits] for hits in base.search(surfaces, 10, ["bm25"])],
        "rapidfuzz": [nearest(surface) for surface in surfaces[:brute]],
    }
    # A name that another entity has too (as Mercury) is found where any of its bearers is.
    same: dict[str, set[str]] = {}
    for one in entities:
        same.setdefault(normalised(one.name), set()).add(one.id)
    golds = [same[normalised(one.name)] for one, _, _ in typed]
    hits = {}
    for way, lists in ranked.items():
        for k in (1, 10):
            right = np.array([bool(gold & set(ids[:k])) for ids, gold in zip(lists, golds, strict=False)], float)
            hits[way, k] = right
            yield estimated(f"misspelt names, {way}: recall at {k}", wilson(right.sum(), len(right)), "share")
    for other in ("rapidfuzz", "bm25"):
        n = len(hits[other, 1])
        gain = paired_bootstrap(hits["names", 1][:n], hits[other, 1])
        yield estimated(f"misspelt names, names over {other}: recall at 1", gain, "share")
    some = surfaces[: min(brute, 60)]
    pairs = [(_seconds(lambda one: base.search([one], 10, ["names"]), one), _seconds(nearest, one)) for one in some]
    ours, theirs = (np.array(column) for column in zip(*pairs, strict=True))
    ratios = theirs / ours
    yield {
        "case": "misspelt names, a query: names against rapidfuzz over all names",
        "ours": float(np.median(ours)),
        "peer": float(np.median(theirs)),
        "unit": "seconds",
        "ratio": float(np.median(ratios)),
        "ratio_min": float(ratios.min()),
        "ratio_max": float(ratios.max()),
        # What both do is not the same: by how much ours is right less often.
        "parity": max(0.0, float(hits["rapidfuzz", 1].mean() - hits["names", 1][:brute].mean())),
        "n": len(some),
    }


def by_queries(base: EntityBase, data: Path, ways: list[str]) -> Iterator[dict[str, Any]]:
    """Yield nDCG and recall of DBpedia-Entity's queries, asked of names alone."""
    asked, grades = queries(data)
    held = {id for id, one in zip(_all_ids(grades), base.get(_all_ids(grades)), strict=True) if one is not None}
    # Judgements of entities that the base lacks (they have a name of wikigold's) count for no way.
    grades = {query: {id: grade for id, grade in some.items() if id in held} for query, some in grades.items()}
    names = [query for query in asked if any(grade > 0 for grade in grades.get(query, {}).values())]
    found: dict[str, Floats] = {}
    where = f"DBpedia-Entity's queries, names alone, {len(base):,} entities"
    every = "+".join(ways)
    for some_ways in [*([way] for way in ways), ways]:
        hits = base.search([asked[name] for name in names], 100, some_ways)
        for metric in ("ndcg@10", "recall@100"):
            told = np.array(
                [
                    metric_of(metric)([hit.passage.id for hit in some], grades[name])
                    for name, some in zip(names, hits, strict=True)
                ]
            )
            title = "+".join(some_ways)
            found[f"{title} {metric}"] = told
            yield estimated(f"{where}, {title}: {metric}", bootstrap(told), metric)
    gain = paired_bootstrap(found[f"{every} ndcg@10"], found["bm25 ndcg@10"])
    yield estimated(f"{where}, {every} over bm25: ndcg@10", gain, "ndcg@10")


def timed(base: EntityBase, asked: Sequence[Asked], count: int) -> Iterator[dict[str, Any]]:
    """Yield the time of whole queries, one thread, one at a time: by the clock, and of the processor.

    On a machine that does other work beside it the clock tells of that work too.
    """
    need("torch", "local").set_num_threads(1)
    rng = np.random.default_rng(2)
    some = [asked[int(place)].mention for place in rng.choice(len(asked), count, replace=False)]
    for ways in [*([way] for way in base.ways), base.ways]:
        yield from _timed(f"search, {len(base):,} entities, {'+'.join(ways)}", partial(_search, base, ways), some)
    linker = Linker(base)
    yield from _timed(f"link, {len(base):,} entities, {'+'.join(linker.candidates.asked)}", linker.link, some)


def _timed(
    title: str, way: Callable[[Sequence[Mention]], object], mentions: Sequence[Mention]
) -> Iterator[dict[str, Any]]:
    clock, processor = [], []
    for place, mention in enumerate([*mentions[:5], *mentions]):
        started, spent = time.perf_counter(), time.process_time()
        way([mention])
        if place >= 5:  # those before warm up
            clock.append(time.perf_counter() - started)
            processor.append(time.process_time() - spent)
    for name, told in (("clock", clock), ("processor", processor)):
        for share in (50, 95):
            value = float(np.quantile(told, share / 100)) * 1e3
            yield counted(f"{title}: p{share}, {name}", value, "milliseconds", len(told))


def dealt(asked: list[Asked]) -> tuple[list[Asked], ...]:
    """Return the mentions to learn from, to choose thresholds by, and to tell; those of an entity stay together."""
    parts = split(len(asked), {"train": 0.5, "tune": 0.2, "test": 0.3}, 0, group=[one.entity for one in asked])
    return tuple([asked[place] for place in parts[name]] for name in ("train", "tune", "test"))


def linked(base: EntityBase, entities: Sequence[Entity], asked: list[Asked]) -> Iterator[dict[str, Any]]:
    """Yield how well mentions are linked, by the linker and by what is simpler."""
    learn, tune, test = dealt(asked)
    golds = [one.gold for one in test]
    told: dict[str, Floats] = {}
    reports: dict[str, LinkReport] = {}
    made = {}
    wanted = [["names", "bm25"], base.ways] if "dense" in base.ways else [base.ways]
    for ways in wanted[::-1]:
        title = f"linker, {'+'.join(ways)}"
        linker = Linker(base, ways=ways)
        untaught = reported(linker.link([one.mention for one in test]), golds)
        yield estimated(f"links, {title}, untaught: accuracy", untaught.accuracy, "share")
        linker.fit(_answers(learn)).calibrate(_answers(tune))
        found = linker.link([one.mention for one in test])
        reports[title], made[title] = reported(found, golds), linker
        told[title] = np.array([_id(one.entity) == gold for one, gold in zip(found, golds, strict=True)], float)
        yield from _of_report(f"links, {title}", reports[title])
    first = next(iter(told))
    for form in ("same", "last word", "initials", "typo"):
        mine = [place for place, one in enumerate(test) if one.form == form and one.gold is not None]
        if mine:
            yield estimated(
                f"links, {first}, said as {form}: right of those meant",
                wilson(told[first][mine].sum(), len(mine)),
                "share",
            )
    for name, way in (("rapidfuzz", _by_fuzzy(entities)), ("bm25", partial(_by_words, base))):
        best, scores = way([one.mention for one in tune])
        right = [one == asked.gold for one, asked in zip(best, tune, strict=True)]
        threshold = _best_cut(scores, np.array(right), np.array([one.gold is None for one in tune]))
        best, scores = way([one.mention for one in test])
        said = [id if score >= threshold else None for id, score in zip(best, scores, strict=True)]
        told[name] = np.array([one == gold for one, gold in zip(said, golds, strict=True)], float)
        rows = np.array(
            [[a == b and a is not None, a is not None, b is not None] for a, b in zip(said, golds, strict=True)]
        )
        yield estimated(f"links, {name}: accuracy", wilson(told[name].sum(), len(golds)), "share")
        yield estimated(f"links, {name}: F1", bootstrap(rows, f1_of, method="percentile", resamples=2000), "F1")
        gain = paired_bootstrap(told[first], told[name], groups=[one.entity for one in test])
        yield estimated(f"links, {first} over {name}: accuracy", gain, "share")
    made[first].save(RUNS / "linker")


def with_large(linker: Linker, test: Sequence[Asked], certain: float) -> Iterator[dict[str, Any]]:
    """Yield what a large model adds on hard mentions, and the tokens that are saved on easy ones.

    It is asked about mentions that are less easy than `certain`; what the others would take is counted, not asked.
    """
    trial, unsure = asyncio.run(_tried(linker, test, certain))
    half = len(trial) // 2
    order = np.random.default_rng(3).permutation(len(trial))
    choose, tell = trial.take(order[:half]), trial.take(order[half:])
    yield counted(
        "split: share of the mentions that the large model is asked about", unsure.mean(), "share", len(trial)
    )
    yield estimated("split: linker on the others, accuracy", _share(trial.small[~unsure]), "share")
    yield estimated("split: linker on the hard ones, accuracy", _share(trial.small[unsure]), "share")
    yield estimated(f"split: {LARGE} on the hard ones, accuracy", _share(trial.large[unsure]), "share")
    yield counted("split: tokens of the large model a mention", float(trial.tokens.mean()), "tokens", len(trial))
    yield counted(
        "split: answers of the large model that named no candidate", trial.unread, "answers", int(unsure.sum())
    )
    yield estimated("split: linker alone, the half that tells, accuracy", _share(tell.small), "share")
    above = _most(choose, certain)
    yield counted("split, most right on the half that chooses: above", min(above, 1.0), "ease", half)
    found = tell.at(above)
    for name in ("accuracy", "over small", "asked", "tokens saved"):
        yield estimated(f"split, most right on the half that chooses: {name}", found[name], "share")
    for accuracy in (0.95, 0.925, 0.9, 0.875, 0.85, 0.8):
        try:
            above = choose.reaching(accuracy)
        except DataError:
            continue
        for name, value in tell.at(above).items():
            if name != "over large":
                yield estimated(f"split, vouched for {accuracy:g} at a risk of .1: {name}", value, "share")
        break


async def _tried(linker: Linker, test: Sequence[Asked], certain: float) -> tuple[SplitTrial, NDArray[np.bool_]]:
    """Return what both make of each mention, what was said being kept; and which were asked about."""
    large = LocalModel(LARGE, quantize="int8", threads=1)
    model = LinkedModel(linker, large, concurrency=4, shown=SHOWN)
    linked = linker.link([one.mention for one in test])
    hard = [place for place, one in enumerate(linked) if one.ease < certain and one.candidates]
    some = [test[place] for place in hard]
    # Asked again where the linker or the mentions are others.
    told = json.dumps(
        [linker.weights_.tolist(), linker.nil_, linker.threshold_, [vars(one) for one in some]], default=str
    )
    path = RUNS / f"split.{LARGE}.{hashlib.sha256(told.encode()).hexdigest()[:12]}.json"
    if not path.is_file():
        found = await tried(model, _answers(some))
        kept = {name: getattr(found, name).tolist() for name in ("large", "tokens")}
        path.write_text(json.dumps(kept | {"unread": found.unread}), encoding="utf-8")
    kept = json.loads(path.read_text(encoding="utf-8"))
    small = np.array([_id(one.entity) == asked.gold for one, asked in zip(linked, test, strict=True)], float)
    right, tokens, unsure = small.copy(), np.zeros(len(test)), np.zeros(len(test), bool)
    right[hard], tokens[hard], unsure[hard] = kept["large"], kept["tokens"], True
    for place in np.flatnonzero(~unsure):
        if linked[place].candidates:
            tokens[place] = large.count(large.render(question(linked[place], SHOWN)))
    return SplitTrial(np.array([one.ease for one in linked]), small, right, tokens, kept["unread"]), unsure


def _share(right: Floats) -> Interval:
    return wilson(float(right.sum()), len(right))


def _search(base: EntityBase, ways: list[str], mentions: Sequence[Mention]) -> object:
    return base.search([one.surface for one in mentions], 10, ways)


def _by_fuzzy(entities: Sequence[Entity]) -> Any:
    fuzzy = need("rapidfuzz", "entities")
    known = [normalised(one.name) for one in entities]

    def way(mentions: Sequence[Mention]) -> tuple[list[str], Floats]:
        ids, scores = [], []
        for mention in mentions:
            _, score, place = fuzzy.process.extractOne(normalised(mention.surface), known, scorer=fuzzy.fuzz.WRatio)
            ids.append(entities[place].id)
            scores.append(score)
        return ids, np.array(scores)

    return way


def _by_words(base: EntityBase, mentions: Sequence[Mention]) -> tuple[list[str], Floats]:
    hits = base.search([one.surface for one in mentions], 1, ["bm25"])
    return [some[0].passage.id if some else "" for some in hits], np.array(
        [some[0].score if some else 0.0 for some in hits]
    )


def _best_cut(scores: Floats, right: NDArray[np.bool_], none: NDArray[np.bool_]) -> float:
    """Return the threshold with the best accuracy, NIL below it."""
    cuts = np.append(np.unique(scores), np.inf)
    return float(max(cuts, key=lambda cut: float(np.where(scores >= cut, right, none).mean())))


def _most(trial: SplitTrial, certain: float) -> float:
    """Return the lowest of the thresholds, up to `certain`, that are most right on the mentions that choose."""
    cuts = np.append(np.unique(trial.ease[trial.ease < certain]), certain)
    return float(max(cuts, key=lambda cut: (trial.right(float(cut)).mean(), -cut)))


def _of_report(title: str, report: LinkReport) -> Iterator[dict[str, Any]]:
    for name in ("accuracy", "found", "precision", "recall", "f1", "nil_precision", "nil_recall"):
        value = getattr(report, name)
        if value is not None:
            yield estimated(f"{title}: {name.replace('_', ' ')}", value, "F1" if name == "f1" else "share")


def _answers(asked: Sequence[Asked]) -> list[tuple[Mention, str | None]]:
    return [(one.mention, one.gold) for one in asked]


def _seconds(way: Callable[[str], object], surface: str) -> float:
    started = time.perf_counter()
    way(surface)
    return time.perf_counter() - started


def _all_ids(grades: dict[str, dict[str, int]]) -> list[str]:
    return list(dict.fromkeys(id for some in grades.values() for id in some))


def _id(entity: Entity | None) -> str | None:
    return None if entity is None else entity.id
