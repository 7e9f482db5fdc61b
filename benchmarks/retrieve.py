"""Finding what people judged relevant: words, vectors, tokens, all joined, and read again.

Cranfield (1,400 abstracts, 225 queries, qrels by a query's place) and XQuAD (240 paragraphs; each of 1,190 questions
belongs to one). What is taught here is taught twice: on the other collection alone; and on one half of the queries and
tested on the other, each half in its turn (XQuAD's halves share no article). Negatives are what BM25 finds in
addition. Cranfield's titles, each with its abstract, teach a third time: they cost nobody a judgement. nDCG@10 (linear
gain) and recall@100 are means over queries with bootstrap intervals; differences are paired. Re-ranking reads the
first 20 of the hybrid. No learned-sparse weights can be had here, so that way is not measured. `--quick` takes 40
queries of XQuAD and teaches nothing.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._result import Cases, estimated
from pilotfish._extras import need
from pilotfish.models.encoder import Encoder
from pilotfish.retrieve import Document, Encoders, Hit, Hybrid, Index, Retriever, documents
from pilotfish.retrieve.bm25 import Words
from pilotfish.retrieve.evaluate import Quality, evaluated, queries_of
from pilotfish.retrieve.late import LateEncoder
from pilotfish.retrieve.late.teach import LateLearner, Triple
from pilotfish.retrieve.rerank import Judgement, Reranked, TaughtReranker
from pilotfish.rows.qrels import read_qrels
from pilotfish.rows.split import split
from pilotfish.train.settings import Fit

METRICS = ("ndcg@10", "recall@100")
THREADS, DEPTH, NEGATIVES, POSITIVES, QUESTIONS, SEED = 2, 20, 3, 3, 300, 0
HOW = Fit(epochs=2, batch_tokens=2048, rate=5e-5, decay=0.01, dtype="float32")


@dataclass(frozen=True)
class Collection:
    """Documents, queries and which of them go together.

    Attributes:
        name: of the collection.
        documents: all of it.
        queries: name -> text.
        qrels: query -> document -> grade.
    """

    name: str
    documents: list[Document]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]
    groups: dict[str, str] = field(default_factory=dict)  # document -> what it is part of

    def few(self, count: int) -> Collection:
        """Return it with so many of its queries, drawn by a seed."""
        names = list(self.queries)
        if len(names) <= count:
            return self
        drawn = np.sort(np.random.default_rng(SEED).choice(len(names), count, replace=False))
        chosen = {names[place]: self.queries[names[place]] for place in drawn}
        return Collection(self.name, self.documents, chosen, {name: self.qrels[name] for name in chosen}, self.groups)


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return nDCG@10 and recall@100 of each way, and what is above what."""
    if data is None:
        return {"name": "retrieve", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("retrieve", quick=quick)
    encoder = Encoder("all-minilm-l6-v2", threads=THREADS, batch_tokens=8192)
    held = [xquad(data)] if quick else [cranfield(data), xquad(data)]
    sizes = [40] if quick else [225, QUESTIONS]
    with tempfile.TemporaryDirectory() as folder:
        indexes = [indexed(one, Path(folder) / one.name, encoder) for one in held]
        for one, index, size in zip(held, indexes, sizes, strict=True):
            tested = one.few(size)
            cases.add(parity(tested, index["stemmed"]))
            found: dict[str, Quality] = {}
            both = Hybrid([index["stemmed"].retriever("bm25"), index["stemmed"].retriever("dense")])
            ways: dict[str, Retriever] = {
                "BM25": index["plain"].retriever("bm25"),
                "BM25, stemmed": index["stemmed"].retriever("bm25"),
                "MiniLM": index["stemmed"].retriever("dense"),
                "hybrid": both,
            }
            untaught = LateEncoder("all-minilm-l6-v2", threads=THREADS, batch_tokens=8192)
            ways["late, MiniLM's tokens"] = late(one, Path(folder) / one.name / "late", untaught)
            if not quick:
                other = held[1] if one is held[0] else held[0]
                lessons = of(other.few(QUESTIONS), indexes[held.index(other)]["stemmed"].retriever("bm25"))
                taught = taught_late(one, Path(folder) / "other", untaught, lessons)
                ways[f"late, taught on {other.name}"] = taught
                judge = TaughtReranker(encoder, HOW).fit(judgements(lessons))
                ways[f"re-ranked, taught on {other.name}"] = Reranked(both, judge, DEPTH)
                if titled := titles(one):
                    ways["late, taught on titles"] = taught_late(one, Path(folder) / "titles", untaught, titled)
                ways |= by_halves(one, tested, Path(folder), untaught, encoder, both, index["stemmed"])
                best = ways["late, taught on the other half"]
                ways["hybrid with taught late"] = Hybrid([both, best])
            for name, retriever in ways.items():
                found[name], _ = evaluated(retriever, tested.queries, tested.qrels, METRICS, seed=SEED)
                cases.add(means(one.name, name, found[name]))
            cases.add(differences(one.name, found))
    return {"name": "retrieve", "not_measured": "learned-sparse: no weights here", "cases": cases.found}


def cranfield(data: Path) -> Collection:
    """Return Cranfield; its judgements name queries by their places."""
    folder = data / "cranfield"
    queries = queries_of(folder / "cran.qry.xml", ordinal=True)
    held = list(documents(folder / "cran.all.1400.xml"))  # two of them are empty
    return Collection("Cranfield", held, queries, read_qrels(folder / "cranqrel.trec.txt"))


def xquad(data: Path) -> Collection:
    """Return XQuAD's paragraphs, and its questions with the paragraph that each belongs to."""
    told = json.loads((data / "xquad_en" / "xquad.en.json").read_text(encoding="utf-8"))
    paragraphs = [one for article in told["data"] for one in article["paragraphs"]]
    articles = [article["title"] for article in told["data"] for _ in article["paragraphs"]]
    held = [Document(f"p{number}", one["context"]) for number, one in enumerate(paragraphs)]
    asked = [(f"p{number}", question) for number, one in enumerate(paragraphs) for question in one["qas"]]
    queries = {str(question["id"]): str(question["question"]) for _, question in asked}
    qrels = {str(question["id"]): {name: 1} for name, question in asked}
    return Collection("XQuAD", held, queries, qrels, {f"p{number}": title for number, title in enumerate(articles)})


def indexed(one: Collection, folder: Path, encoder: Encoder) -> dict[str, Index]:
    """Return its indexes: one by plain words, one by stems and by vectors."""
    plain = Index.create(folder / "plain", {"bm25": Words(stemmer=None, stop_words=None)})
    stemmed = Index.create(folder / "stemmed", ["bm25", "dense"], encoders=Encoders(dense=encoder))
    for index in (plain, stemmed):
        index.add(one.documents, progress=True, total=len(one.documents))
    return {"plain": plain, "stemmed": stemmed}


def parity(one: Collection, index: Index) -> Iterator[dict[str, Any]]:
    """Yield the largest difference of a BM25 score to bm25s' own, of the same words."""
    bm25s, read = need("bm25s", "retrieve"), Words().reader()
    library = bm25s.BM25()
    library.index(read([passage.searched for passage in index.collection]), show_progress=False)
    found = index.way("bm25").rank(list(one.queries.values()), 1000)
    gaps = [
        abs(library.get_scores(words)[rows[rows >= 0]] - scores[rows >= 0]).max(initial=0.0)
        for words, rows, scores in zip(read(list(one.queries.values())), found.rows, found.scores, strict=True)
    ]
    title = f"{one.name}: BM25 beside bm25s, the same words"
    yield {"case": title, "value": float(max(gaps)), "unit": "largest difference of a score", "n": len(gaps)}


def late(one: Collection, folder: Path, encoder: LateEncoder) -> Retriever:
    """Return a collection by its tokens."""
    index = Index.create(folder, ["late"], encoders=Encoders(late=encoder))
    index.add(one.documents, progress=True, total=len(one.documents))
    return index.retriever("late")


def taught_late(one: Collection, folder: Path, encoder: LateEncoder, lessons: Sequence[Triple]) -> Retriever:
    """Return a collection by the tokens of a model that was taught on another one."""
    LateLearner(encoder, HOW).fit(lessons).save(folder / one.name / "taught")
    taught = LateEncoder(folder / one.name / "taught", threads=THREADS, batch_tokens=8192)
    return late(one, folder / one.name / "late-taught", taught)


@dataclass(frozen=True)
class Halves:
    """Asks each query's own retriever."""

    name: str
    of: Mapping[str, Retriever]

    def search(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
        """See `Retriever`."""
        return [self.of[query].search([query], k)[0] for query in queries]


def halves(one: Collection) -> tuple[set[str], set[str]]:
    """Return the queries' names in two parts that share no query text, nor, where a document has one, no group."""
    groups = [
        one.groups.get(next(iter(one.qrels[name])), name) if one.groups else one.queries[name] for name in one.queries
    ]
    parts = split(len(one.queries), {"a": 0.5, "b": 0.5}, SEED, group=groups)
    names = list(one.queries)
    return {names[i] for i in parts["a"]}, {names[i] for i in parts["b"]}


def by_halves(
    one: Collection,
    tested: Collection,
    folder: Path,
    encoder: LateEncoder,
    plain: Encoder,
    both: Retriever,
    index: Index,
) -> dict[str, Retriever]:
    """Return what is taught on one half of the queries, for the other half: by tokens, and as a re-ranker."""
    tokens: dict[str, Retriever] = {}
    again: dict[str, Retriever] = {}
    for number, taught in enumerate(halves(tested)):
        part = Collection(one.name, one.documents, {name: one.queries[name] for name in taught}, one.qrels)
        lessons = of(part, index.retriever("bm25"))
        found = taught_late(one, folder / f"half-{number}", encoder, lessons)
        judge = Reranked(both, TaughtReranker(plain, HOW).fit(judgements(lessons)), DEPTH)
        for name, query in tested.queries.items():
            if name not in taught:
                tokens[query], again[query] = found, judge
    return {
        "late, taught on the other half": Halves("late", tokens),
        "re-ranked, taught on the other half": Halves("re-ranked", again),
    }


def titles(one: Collection) -> list[Triple]:
    """Return each document's title with its text, where it has both; a text that begins with it loses it."""
    found = []
    for each in one.documents:
        title, text = each.title.strip(), each.text.strip()
        if text.casefold().startswith(title.casefold()):
            text = text[len(title) :].strip(" .\n")
        if title and text:
            found.append(Triple(title, text))
    return found


def of(one: Collection, words: Retriever) -> list[Triple]:
    """Return what there is to learn: what is relevant, and what BM25 finds first that is not."""
    texts = {document.id: document for document in one.documents}
    found: list[Triple] = []
    names = [name for name in one.queries if one.qrels.get(name)]
    for name, hits in zip(names, words.search([one.queries[name] for name in names], 30), strict=True):
        grades = one.qrels[name]
        good = [key for key, grade in grades.items() if grade > 0 and key in texts][:POSITIVES]
        bad = [_searched(texts[hit.passage.id]) for hit in hits if hit.passage.id not in grades][:NEGATIVES]
        found += [Triple(one.queries[name], _searched(texts[key]), tuple(bad)) for key in good]
    return found


def judgements(lessons: Sequence[Triple]) -> list[Judgement]:
    """Return the same lessons, each passage by itself."""
    found = {(one.query, one.positive): 1.0 for one in lessons}
    found |= {(one.query, text): 0.0 for one in lessons for text in one.negatives if (one.query, text) not in found}
    return [Judgement(query, text, relevant) for (query, text), relevant in found.items()]


def _searched(document: Document) -> str:
    return f"{document.title}\n{document.text}" if document.title else document.text


def means(collection: str, name: str, quality: Quality) -> Iterator[dict[str, Any]]:
    """Yield a system's means."""
    for metric in METRICS:
        yield estimated(f"{collection}, {name}: {metric}", quality.mean(metric), metric)


def differences(collection: str, found: Mapping[str, Quality]) -> Iterator[dict[str, Any]]:
    """Yield what is above what, query by query."""
    pairs: Sequence[tuple[str, str]] = [
        ("BM25, stemmed", "BM25"),
        ("MiniLM", "BM25, stemmed"),
        ("hybrid", "BM25, stemmed"),
        ("hybrid", "MiniLM"),
    ]
    pairs = [*pairs, *((name, "hybrid") for name in found if name.startswith("re-ranked"))]
    pairs = [*pairs, *((name, "MiniLM") for name in found if name.startswith("late"))]
    pairs = [*pairs, *((name, "hybrid") for name in found if name.startswith("hybrid with"))]
    for one, other in pairs:
        gap = found[one].above(found[other], "ndcg@10")
        yield estimated(f"{collection}, {one} above {other}", gap, "ndcg@10")
