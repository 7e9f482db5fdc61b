"""Queries in a model's words: what is searched, what is joined, and what it took."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.model import Request
from pilotfish.retrieve import Hit, Hybrid, Passage, Rewritten, traced
from pilotfish.retrieve.rewrite import Rewriting
from tests.fakes import ScriptedModel


class Echo:
    """Finds for each query the words of it, and notes what it was asked."""

    name = "echo"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def search(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
        self.asked += queries
        return [[Hit(Passage(word, word), 1.0) for word in dict.fromkeys(query.split())][:k] for query in queries]


def test_several_queries_are_joined_by_their_ranks() -> None:
    echo, model = Echo(), ScriptedModel("1. red fox\n- fox trot\n\n* the query\nred fox\nsurplus")
    found, traces = traced(Rewritten(echo, model, n=3), ["the query", "other"], 10)
    assert echo.asked == ["the query", "red fox", "fox trot", "other", "red fox", "fox trot", "the query"]
    scores = {hit.passage.id: hit.score for hit in found[0]}
    assert scores == pytest.approx(
        {"the": 1 / 61, "query": 1 / 62, "red": 1 / 61, "fox": 1 / 62 + 1 / 61, "trot": 1 / 62}
    )
    assert found[0][0].passage.id == "fox"
    assert [len(trace.calls) for trace in traces] == [1, 1] and traces[0].usage.tokens_out > 0
    assert "3 different search queries" in model.requests[0].prompt and "the query" in model.requests[0].prompt


def test_made_up_passages_are_searched_instead_of_the_query() -> None:
    answers = iter(["A fox is red.\nIt runs.", "Foxes trot."])
    echo, model = Echo(), ScriptedModel(lambda request: next(answers))
    retriever = Rewritten(echo, model, "hyde", n=2, keep=False, max_tokens=32, temperature=0.7)
    _, traces = traced(retriever, ["what is a fox"], 5)
    assert echo.asked == ["A fox is red.\nIt runs.", "Foxes trot."] and len(traces[0].calls) == 2
    assert model.requests[0].max_tokens == 32 and model.requests[0].temperature == 0.7


@pytest.mark.parametrize("way", ["step-back", "keywords"])
def test_one_line_is_one_query(way: Rewriting) -> None:
    echo = Echo()
    Rewritten(echo, ScriptedModel('"animals of the wood"\nand more'), way).search(["fox?"])
    assert echo.asked == ["fox?", "animals of the wood"]


def test_a_model_that_says_nothing_leaves_the_query() -> None:
    echo = Echo()
    found, traces = traced(Rewritten(echo, ScriptedModel("  \n"), keep=False), ["fox den"], 5)
    assert echo.asked == ["fox den"] and [hit.passage.id for hit in found[0]] == ["fox", "den"]
    assert len(traces[0].calls) == 1
    assert Rewritten(echo, ScriptedModel("x")).search([]) == []


def test_braces_in_a_query_stay() -> None:
    model = ScriptedModel("x")
    Rewritten(Echo(), model, prompt="{n} of {query}").search(["what is {n} or {query}?"])
    assert model.requests[0].prompt == "3 of what is {n} or {query}?"


def test_what_it_took_is_told_through_whatever_is_around_it() -> None:
    inner = Rewritten(Echo(), ScriptedModel("a\nb"))
    _, traces = traced(Hybrid([inner, Echo()]), ["q"], 5)
    assert len(traces[0].calls) == 1


def test_a_model_that_fails_is_not_passed_over() -> None:
    def fail(request: Request) -> Exception:
        return UpstreamError("down", status=500)

    with pytest.raises(UpstreamError, match="down"):
        Rewritten(Echo(), ScriptedModel(fail)).search(["q"])


def test_wrong_settings() -> None:
    with pytest.raises(ConfigError, match="did you mean 'hyde'"):
        Rewritten(Echo(), ScriptedModel(), "hide")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="1 or more"):
        Rewritten(Echo(), ScriptedModel(), n=0)
    with pytest.raises(ConfigError, match=r"place \{query\}"):
        Rewritten(Echo(), ScriptedModel(), prompt="no place")
