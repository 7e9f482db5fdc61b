"""How well a retriever finds what people judged: ranking metrics with intervals, and systems compared, query by query.

The intervals are bootstrap's over queries. Queries without any judged document are left out, for nothing can be said of
them, and named; so are judged ones that were not asked. Queries whose judged documents are all irrelevant count 0, as
in trec_eval, and are named too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.measure.intervals import Interval, bootstrap, paired_bootstrap
from pilotfish.measure.ranking import RELEVANT, metric_of
from pilotfish.retrieve._trec_xml import is_trec, trec_topics
from pilotfish.retrieve.found import Hit, Retriever
from pilotfish.rows.qrels import Qrels
from pilotfish.rows.read import read

__all__ = ["METRICS", "Quality", "by_documents", "evaluated", "judged", "queries_of"]

METRICS = ("ndcg@10", "recall@100", "mrr@10", "map")


@dataclass(frozen=True, eq=False)
class Quality:
    """How good a system's rankings are.

    Attributes:
        system: its name.
        queries: that were judged, in order.
        values: metric -> (queries,) its value of each.
        unjudged: queries that were asked and have no judged document: left out.
        irrelevant: queries that have judged documents, none of them relevant: they count 0.
        unasked: queries that have judged documents and were not asked: left out.
        seed: of the intervals.
    """

    system: str
    queries: tuple[str, ...]
    values: Mapping[str, NDArray[np.float64]]
    unjudged: tuple[str, ...] = ()
    irrelevant: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    seed: int = 0

    def mean(self, metric: str) -> Interval:
        """Return the mean over queries with its interval."""
        return bootstrap(self.values[metric], seed=self.seed)

    def above(self, other: Quality, metric: str) -> Interval:
        """Return by how much this system is better than another on the same queries; paired.

        Raises:
            DataError: other queries.
        """
        if self.queries != other.queries:
            raise DataError(f"{self.system} and {other.system} were judged on different queries")
        return paired_bootstrap(self.values[metric], other.values[metric], seed=self.seed)

    @property
    def notes(self) -> list[str]:
        """What is odd about the queries, in words."""
        found = []
        if self.unjudged:
            found.append(f"{len(self.unjudged)} queries without judged documents are left out: {_few(self.unjudged)}")
        if self.irrelevant:
            found.append(f"{len(self.irrelevant)} queries without relevant documents count 0: {_few(self.irrelevant)}")
        if self.unasked:
            found.append(f"{len(self.unasked)} judged queries were not asked: {_few(self.unasked)}")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return means with their intervals, and what each query got, as plain data."""
        return {
            "system": self.system,
            "queries": len(self.queries),
            "metrics": {name: self.mean(name).to_json() for name in self.values},
            "unjudged": list(self.unjudged),
            "irrelevant": list(self.irrelevant),
            "unasked": list(self.unasked),
            "by_query": {
                query: {name: float(column[place]) for name, column in self.values.items()}
                for place, query in enumerate(self.queries)
            },
        }


def judged(
    rankings: Mapping[str, Sequence[str]],
    qrels: Qrels,
    metrics: Sequence[str] = METRICS,
    *,
    system: str = "system",
    seed: int = 0,
) -> Quality:
    """Return how good rankings are.

    Args:
        rankings: query -> ids of documents, best first.
        qrels: query -> document -> grade. A judged query that has no ranking counts 0.
        metrics: names, as `pilotfish.measure.ranking.metric_of` takes.
        system: whose rankings they are.
        seed: of the intervals.

    Raises:
        ConfigError: no such metric.
        DataError: no query is judged, or a document is ranked twice.
    """
    queries = tuple(query for query in qrels if qrels[query])
    if not queries or not set(queries) & set(rankings):
        asked, held = _few(tuple(rankings)), _few(tuple(qrels))
        raise DataError(f"no query is judged: the queries are {asked}, the judgements are of {held}")
    values = {}
    for name in metrics:
        metric = metric_of(name)
        values[name] = np.array([metric(rankings.get(query, ()), qrels[query]) for query in queries], np.float64)
    return Quality(
        system,
        queries,
        values,
        tuple(query for query in rankings if not qrels.get(query)),
        tuple(query for query in queries if all(grade < RELEVANT for grade in qrels[query].values())),
        seed=seed,
    )


def evaluated(
    retriever: Retriever,
    queries: Mapping[str, str],
    qrels: Qrels,
    metrics: Sequence[str] = METRICS,
    *,
    k: int = 100,
    seed: int = 0,
    batch: int = 64,
    progress: Callable[[int], None] | None = None,
) -> tuple[Quality, dict[str, list[tuple[str, float]]]]:
    """Ask a retriever, judge what it finds; return both, the finds as a run.

    Passages count for their documents: each document once, where its best passage stands.

    Args:
        retriever: is asked.
        queries: name -> text.
        qrels: query -> document -> grade.
        metrics: as of `judged`.
        k: how many passages are asked for.
        seed: of the intervals.
        batch: queries that are asked together.
        progress: called with the number of queries done.

    Raises:
        ConfigError: no such metric.
        DataError: no query is judged.
    """
    run: dict[str, list[tuple[str, float]]] = {}
    names = list(queries)
    for start in range(0, len(names), batch):
        some = names[start : start + batch]
        for name, hits in zip(some, retriever.search([queries[one] for one in some], k), strict=True):
            run[name] = by_documents(hits)
        if progress:
            progress(len(some))
    rankings = {name: [document for document, _ in found] for name, found in run.items()}
    of_these = {name: grades for name, grades in qrels.items() if name in queries}
    quality = judged(rankings, of_these, metrics, system=retriever.name, seed=seed)
    return replace(quality, unasked=tuple(name for name in qrels if name not in queries)), run


def by_documents(hits: Iterable[Hit]) -> list[tuple[str, float]]:
    """Return the documents of passages, each once, with the score of its first one."""
    found: dict[str, float] = {}
    for hit in hits:
        found.setdefault(hit.passage.document or hit.passage.id, hit.score)
    return list(found.items())


def queries_of(source: str | Path, *, id: str = "id", text: str = "text", ordinal: bool = False) -> dict[str, str]:
    """Return queries by their names, of a file of rows or of TREC's <top> elements.

    Args:
        source: the file.
        id: of rows: the column of names.
        text: of rows: the column of the queries.
        ordinal: names are their places, from 1, whatever the file says: as Cranfield's judgements have it.

    Raises:
        DataError: a row without either, or a name that comes twice; file, row and column are named.
    """
    found: dict[str, str] = {}
    for number, (name, query) in enumerate(_queries(Path(source), id, text, ordinal=ordinal), 1):
        key = str(number) if ordinal else name
        if key in found:
            raise DataError(f"{source}, query {number}: the name {key!r} comes twice")
        found[key] = query
    return found


def _queries(path: Path, id: str, text: str, *, ordinal: bool) -> Iterator[tuple[str, str]]:
    if path.is_file() and is_trec(path):
        yield from trec_topics(path)
        return
    for number, row in enumerate(read(path, strict=True), 1):
        for column in (text,) if ordinal else (id, text):
            if not isinstance(row.get(column), str | int) or row[column] == "":
                raise DataError(f"{path}, row {number}: no {column!r}; its columns are {', '.join(row)}")
        yield str(row.get(id, "")), str(row[text])


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
