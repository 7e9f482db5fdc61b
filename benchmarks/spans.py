"""A detector of faulty spans, taught here, against what needs no training, on documents that nothing was learnt from.

With evidence: sentences of QAGS (CNN/DM, majority of three votes) and summaries of SummEval (experts' consistency), of
articles that were kept out, one in two; learnt from the other articles' votes and scores, which do not say where a
fault is, and from names and numbers exchanged in pieces of these articles and of XQuAD's paragraphs. The articles are
three windows and more, so the rule that the most supporting window decides is held against their mean. The exchanged
words of kept-out articles tell how well places are found. Beside it: words that the article lacks, and the
largest cosine (of token states; of sentences).

Without evidence: people's spans on XSum's summaries, whose articles the set does not have: from the summary alone, held
against how often a word was faulty elsewhere and a logistic regression on the untaught encoder's states. No detector
can see there what the article says, only what summaries tend to make up.

Fixers: sums of GSM8K's right solutions, and the same with one result changed; JSONTestSuite's files.

All encoders are all-MiniLM-L6-v2. Intervals draw documents. `--quick` learns from invented reports.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import Cases, estimated
from benchmarks._span_fixers import fixers
from benchmarks._span_sets import chunks, invented, qags, rates, summeval, xsum
from pilotfish._extras import need
from pilotfish.models.encoder import Encoder
from pilotfish.repair.tokens.baselines import (
    by_cosine,
    by_overlap,
    sentences_by_cosine,
    sentences_by_overlap,
    states_of,
)
from pilotfish.repair.tokens.corrupted import corrupted
from pilotfish.repair.tokens.detector import FIT, SpanDetector
from pilotfish.repair.tokens.judged import Judged
from pilotfish.repair.tokens.report import area_by_documents, area_gain, reported
from pilotfish.repair.tokens.rows import Answered, marked, words_of
from pilotfish.repair.tokens.teaching import dealt, tuned_thresholds
from pilotfish.rows.sentences import sentences_of

LENGTH, RIGHT, PARAGRAPHS = 192, 2, 100
EVIDENCE = replace(FIT, epochs=1, batch_tokens=1536, rate=1e-4)
ALONE = replace(FIT, epochs=3, batch_tokens=768, rate=1e-4)
BARS = {"gain over words and cosine": 0.0}
Floats = NDArray[np.float64]
Ways = dict[str, Callable[[Sequence[Answered]], list[Judged]]]


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return the figures of detectors and of what stands beside them."""
    if data is None and not quick:
        return {"name": "spans", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("spans", quick=quick)
    encoder = Encoder("all-minilm-l6-v2", device="cpu").load()
    if quick or data is None:
        cases.add(quickly(encoder))
    else:
        cases.add(fixers(data))
        cases.add(alone(data, encoder))
        cases.add(with_evidence(data, encoder))
    return {"name": "spans", "bars": BARS, "cases": cases.found}


def quickly(encoder: Encoder) -> Iterator[dict[str, Any]]:
    """Yield words found in invented reports."""
    learn, tune, test = dealt(invented(60), 0.2, 0.3)
    detector = SpanDetector(encoder, replace(FIT, epochs=1, batch_tokens=768, rate=1e-4), length=LENGTH)
    detector.fit(learn, tune)
    ways: Ways = {"detector": detector.judge, "words": by_overlap, "cosine": lambda rows: by_cosine(rows, encoder)}
    yield from placed("invented reports", {name: (way(tune), way(test)) for name, way in ways.items()}, tune, test)


def alone(data: Path, encoder: Encoder) -> Iterator[dict[str, Any]]:
    """Yield XSum's figures, from the summary alone."""
    learn, tune, test = dealt(xsum(data), 0.15, 0.25)
    detector = SpanDetector(encoder, ALONE, length=128).fit(learn, tune)
    known = rates(learn)

    def by_rate(rows: Sequence[Answered]) -> list[Judged]:
        found = []
        for row in rows:
            words = words_of(row.answer)
            scores = np.array([known.get(row.answer[a:b].casefold(), 0.0) for a, b in words])
            found.append(Judged(tuple(words), 1 / (1 + np.exp(-scores))))
        return found

    by_states = states_classifier(encoder, learn)
    ways: Ways = {"detector": detector.judge, "word rates": by_rate, "untaught states": by_states}
    yield from placed("XSum summaries alone", {n: (way(tune), way(test)) for n, way in ways.items()}, tune, test)


def with_evidence(data: Path, encoder: Encoder) -> Iterator[dict[str, Any]]:
    """Yield QAGS's, SummEval's and the exchanged words' figures."""
    some, more = qags(data), summeval(data)
    voted = {id(row): "QAGS" for row in some} | {id(row): "SummEval" for row in more}
    learn, tune, test = (_few(rows, voted) for rows in dealt([*some, *more], 0.15, 0.5))
    parts = {name: list(dict.fromkeys(row.context for row in rows)) for name, rows in
             (("learn", learn), ("tune", tune), ("test", test))}  # fmt: skip
    articles = json.loads((data / "xquad_en" / "xquad.en.json").read_text(encoding="utf-8"))["data"]
    paragraphs = [str(one["context"]) for article in articles for one in article["paragraphs"]][:PARAGRAPHS]
    made = corrupted([*chunks(parts["learn"]), *paragraphs], each=1, seed=0)
    by = [*tune, *corrupted(chunks(parts["tune"]), each=1, seed=1)]
    detector = SpanDetector(encoder, EVIDENCE, length=LENGTH).fit([*learn, *made], by)
    exchanged = corrupted(parts["test"], each=2, seed=2)
    tuning = corrupted(parts["tune"], each=2, seed=3)
    ways: Ways = {"detector": detector.judge, "words": by_overlap, "cosine": lambda rows: by_cosine(rows, encoder)}
    judged = {name: (way(tuning), way(exchanged)) for name, way in ways.items()}
    yield from placed("exchanged words, kept-out articles", judged, tuning, exchanged)
    for name in ("QAGS", "SummEval"):
        rows = [row for row in test if voted[id(row)] == name]
        yield from whole(name, rows, detector, encoder)


def placed(
    name: str,
    judged: dict[str, tuple[list[Judged], list[Judged]]],
    tune: Sequence[Answered],
    test: Sequence[Answered],
) -> Iterator[dict[str, Any]]:
    """Yield F1 and area of words, F1 of spans, area of answers of each way, and the first one's gains in area."""
    home = np.concatenate([[at] * len(words_of(row.answer)) for at, row in enumerate(test)]).astype(int)
    faulty = np.concatenate([marked(words_of(row.answer), row.spans or ()) for row in test])
    scores = {}
    for way, (by, on) in judged.items():
        report = reported(way, test, on, *tuned_thresholds(tune, by))
        for what in ("word_area", "word_f1", "span_f1", "answer_area"):
            value = getattr(report, what)
            if value is not None:
                yield estimated(f"{name}, {way}: {what.replace('_', ' ')}", value, _UNITS[what])
        scores[way] = np.concatenate([one.scores for one in on])
    documents = np.array([row.document for row in test])[home]
    first, *others = judged
    for other in others:
        gain = area_gain(scores[first], scores[other], faulty, documents)
        yield estimated(f"{name}, {first} over {other}: word area", gain, "area under ROC")


def whole(name: str, rows: list[Answered], detector: SpanDetector, encoder: Encoder) -> Iterator[dict[str, Any]]:
    """Yield the areas of sentences or summaries, and the gains over what needs no training and a mean of windows."""
    faulty = np.array([row.is_faulty for row in rows])
    documents = np.array([row.document for row in rows])
    read = detector.read(rows)
    means = [detector.judged(one, lambda table: table.mean(axis=0)) for one in read]
    scores: dict[str, Floats] = {
        "detector": np.array([detector.judged(one).most for one in read]),
        "detector, mean of its windows": np.array([one.most for one in means]),
        "words": sentences_by_overlap([(row.context, row.answer) for row in rows]),
        "cosine": sentences_by_cosine([(_sentences(row.context), row.answer) for row in rows], encoder),
        "cosine of token states": np.array([one.scores.mean() for one in by_cosine(rows, encoder)]),
    }
    windows = np.mean([max((len(table) for table in one.tables), default=1) for one in read])
    for way, values in scores.items():
        yield estimated(f"{name}, {way}", area_by_documents(values, faulty, documents), "area under ROC") | {
            "windows an answer": float(windows),
            "faulty": int(faulty.sum()),
        }
    for other in list(scores)[1:]:
        gain = area_gain(scores["detector"], scores[other], faulty, documents)
        yield estimated(f"{name}, detector over {other}", gain, "area under ROC")


def states_classifier(encoder: Encoder, learn: Sequence[Answered]) -> Any:
    """Return a logistic regression over the untaught encoder's states of words."""
    linear = need("sklearn.linear_model", "train")

    def vectors(rows: Sequence[Answered]) -> list[Floats]:
        found = []
        for row, (states, places) in zip(rows, states_of([row.answer for row in rows], encoder), strict=True):
            table = np.zeros((len(words_of(row.answer)), states.shape[1] if len(states) else encoder.dimension))
            for at, (a, b) in enumerate(words_of(row.answer)):
                mine = [k for k, (start, end) in enumerate(places) if start < b and a < end]
                table[at] = states[mine].mean(axis=0)
            found.append(table)
        return found

    faulty = np.concatenate([marked(words_of(row.answer), row.spans or ()) for row in learn])
    model = linear.LogisticRegression(C=10.0, max_iter=500).fit(np.concatenate(vectors(learn)), faulty)

    def judge(rows: Sequence[Answered]) -> list[Judged]:
        return [
            Judged(tuple(words_of(row.answer)), model.predict_proba(table)[:, 1] if len(table) else np.zeros(0))
            for row, table in zip(rows, vectors(rows), strict=True)
        ]

    return judge


_UNITS = {
    "word_area": "area under ROC",
    "word_f1": "F1",
    "span_f1": "F1 of characters",
    "answer_area": "area under ROC",
}
_held: dict[str, list[str]] = {}


def _sentences(text: str) -> list[str]:
    if text not in _held:
        _held[text] = sentences_of(text)
    return _held[text]


def _few(rows: Sequence[Answered], voted: dict[int, str], seed: int = 0) -> list[Answered]:
    """Return the rows, but of SummEval's right summaries so many of each article, drawn by chance."""
    order = np.random.default_rng(seed).permutation(len(rows)).tolist()
    taken: dict[str, int] = {}
    kept = set()
    for at in order:
        row = rows[at]
        if voted[id(row)] == "SummEval" and not row.is_faulty:
            taken[row.document] = taken.get(row.document, 0) + 1
            if taken[row.document] > RIGHT:
                continue
        kept.add(at)
    return [row for at, row in enumerate(rows) if at in kept]
