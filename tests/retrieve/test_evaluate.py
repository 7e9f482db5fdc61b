"""Retrievers judged: values by hand, documents of passages, and no query dropped without a word."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.retrieve import Hit, Passage
from pilotfish.retrieve.evaluate import by_documents, evaluated, judged, queries_of


class Table:
    """Finds by a table."""

    name = "table"

    def __init__(self, **found: str) -> None:
        self.found = found

    def search(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
        return [
            [
                Hit(Passage(name, name, document=name.partition("#")[0]), -float(rank))
                for rank, name in enumerate(self.found[query].split())
            ][:k]
            for query in queries
        ]


QUERIES = {"1": "one", "2": "two", "3": "three", "4": "four"}
QRELS = {"1": {"a": 1}, "2": {"b": 1, "c": 1}, "3": {"a": 0}, "9": {"z": 1}}


def test_values_by_hand_and_every_query_accounted_for() -> None:
    found = Table(one="x a", two="b#2 b#1 x c", three="a", four="a")
    quality, run = evaluated(found, QUERIES, QRELS, ["mrr@10", "recall@2"], k=10, batch=3)
    assert quality.queries == ("1", "2", "3")
    assert quality.values["mrr@10"].tolist() == [0.5, 1.0, 0.0]
    assert quality.values["recall@2"].tolist() == [1.0, 0.5, 0.0]  # b stands once, where its best passage does
    assert (quality.unjudged, quality.irrelevant, quality.unasked) == (("4",), ("3",), ("9",))
    assert len(quality.notes) == 3 and quality.mean("mrr@10").value == pytest.approx(0.5)
    assert run["2"] == [("b", 0.0), ("x", -2.0), ("c", -3.0)]
    told = json.loads(json.dumps(quality.to_json()))
    assert told["by_query"]["1"] == {"mrr@10": 0.5, "recall@2": 1.0} and told["unasked"] == ["9"]


def test_systems_are_compared_query_by_query() -> None:
    qrels = {str(number): {"a": 1} for number in range(20)}
    better = judged({name: ["a"] for name in qrels}, qrels, ["mrr@10"])
    worse = judged({name: ["x", "a"] for name in qrels}, qrels, ["mrr@10"])
    gap = better.above(worse, "mrr@10")
    assert (gap.value, gap.low, gap.high, gap.n) == (0.5, 0.5, 0.5, 20)
    with pytest.raises(DataError, match="different queries"):
        better.above(judged({"1": ["a"]}, {"1": {"a": 1}}, ["mrr@10"]), "mrr@10")


def test_a_judged_query_without_finds_counts_0() -> None:
    quality = judged({"1": ["a"]}, {"1": {"a": 1}, "2": {"a": 1}}, ["recall@10"])
    assert quality.values["recall@10"].tolist() == [1.0, 0.0]


def test_queries_that_nobody_judged_are_an_error() -> None:
    with pytest.raises(DataError, match="no query is judged: the queries are q1, the judgements are of 1, 2"):
        judged({"q1": ["a"]}, {"1": {"a": 1}, "2": {"b": 1}})
    with pytest.raises(ConfigError, match="no ranking metric"):
        judged({"1": ["a"]}, {"1": {"a": 1}}, ["accuracy"])


def test_passages_count_for_their_documents() -> None:
    hits = [
        Hit(Passage("d#2", "", document="d"), 3.0),
        Hit(Passage("e", ""), 2.0),
        Hit(Passage("d#1", "", document="d"), 1.0),
    ]
    assert by_documents(hits) == [("d", 3.0), ("e", 2.0)]


def test_queries_of_rows_and_of_trec(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"id": 4, "text": "red?"}\n{"id": "b", "text": "blue?"}\n')
    assert queries_of(path) == {"4": "red?", "b": "blue?"} and queries_of(path, ordinal=True) == {
        "1": "red?",
        "2": "blue?",
    }
    xml = tmp_path / "q.xml"
    xml.write_text(
        "<xml>\n<top>\n<num> Number: 31</num>\n<title>\nwhat is\nlift </title></top><top><num>7<title>drag</top>"
    )
    assert queries_of(xml) == {"31": "what is lift", "7": "drag"}
    path.write_text('{"id": 4, "text": "red?"}\n{"id": 4, "text": "blue?"}\n')
    with pytest.raises(DataError, match="query 2: the name '4' comes twice"):
        queries_of(path)
    path.write_text('{"id": 4, "text": "red?"}\n{"id": 5, "body": "blue?"}\n')
    with pytest.raises(DataError, match="row 2: no 'text'; its columns are id, body"):
        queries_of(path)
    xml.write_text("<top><num>1</num></top>")
    with pytest.raises(DataError, match="has no <title>"):
        queries_of(xml)
