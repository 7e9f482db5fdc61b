"""Fusion by hand, and hybrids that nest."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError
from pilotfish.retrieve import Hit, Hybrid, Passage, Retriever, traced
from pilotfish.retrieve.hybrid import fused


class Fixed:
    """Finds what it was told, whatever is asked."""

    def __init__(self, name: str, **scores: float) -> None:
        self.name = name
        self.hits = sorted((Hit(Passage(key, key), value) for key, value in scores.items()), key=lambda hit: -hit.score)
        self.asked: list[int] = []

    def search(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
        self.asked.append(k)
        return [self.hits[:k] for _ in queries]


ONE, TWO = Fixed("one", a=9.0, b=8.0, c=1.0), Fixed("two", c=0.9, a=0.5, d=0.1)


def of(hits: Sequence[Hit]) -> dict[str, float]:
    return {hit.passage.id: hit.score for hit in hits}


def test_reciprocal_ranks_by_hand() -> None:
    (hits,) = Hybrid([ONE, TWO]).search(["q"], 4)
    wanted = {"a": 1 / 61 + 1 / 62, "c": 1 / 63 + 1 / 61, "b": 1 / 62, "d": 1 / 63}
    assert of(hits) == pytest.approx(wanted) and [hit.passage.id for hit in hits] == ["a", "c", "b", "d"]
    assert dict(hits[0].parts) == {"one": 9.0, "two": 0.5} and dict(hits[2].parts) == {"one": 8.0}


def test_scores_on_one_scale_by_hand() -> None:
    (hits,) = Hybrid([ONE, TWO], "min-max", [2.0, 1.0]).search(["q"], 4)
    assert of(hits) == pytest.approx({"a": 2.0 + 0.5, "b": 2 * 7 / 8, "c": 1.0, "d": 0.0})
    (hits,) = Hybrid([ONE, TWO], "z-score").search(["q"], 4)
    spread = (sum((x - 6) ** 2 for x in (9, 8, 1)) / 3) ** 0.5
    other = (sum((x - 0.5) ** 2 for x in (0.9, 0.5, 0.1)) / 3) ** 0.5
    assert of(hits) == pytest.approx({"a": 8 / spread + 0.4 / other, "b": 7 / spread, "c": 0.8 / other, "d": 0.0})


def test_equal_scores_count_alike_and_nothing_counts_nothing() -> None:
    assert of(fused({"x": [Hit(Passage("a", "a"), 3.0)], "y": []}, "min-max")) == {"a": 1.0}
    assert fused({"x": [], "y": []}) == []


def test_hybrids_nest_and_ask_deep_enough() -> None:
    one, two, three = Fixed("same", a=1.0), Fixed("same", b=1.0), Fixed("c", c=1.0)
    inner = Hybrid([one, two], depth=20, name="inner")
    outer = Hybrid([inner, three], depth=5)
    assert isinstance(outer, Retriever)
    hits, traces = traced(outer, ["q", "r"], 30)
    assert [len(some) for some in hits] == [3, 3] and [trace.calls for trace in traces] == [(), ()]
    assert one.asked == [30] and set(inner.search(["q"])[0][0].parts) | set(inner.search(["q"])[0][1].parts) == {
        "same",
        "same 2",
    }


lists = st.lists(st.lists(st.sampled_from("abcdefg"), unique=True), min_size=2, max_size=3)


@given(lists)
def test_what_all_put_first_is_first(rankings: list[list[str]]) -> None:
    some = {
        str(place): [Hit(Passage(key, key), -float(rank)) for rank, key in enumerate(["z", *one])]
        for place, one in enumerate(rankings)
    }
    hits = fused(some)
    assert hits[0].passage.id == "z" and hits[0].score == pytest.approx(len(rankings) / 61)
    assert {hit.passage.id for hit in hits} == {"z"}.union(*rankings)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_wrong_settings() -> None:
    for wrong, said in [
        ({"retrievers": [ONE]}, "two retrievers"),
        ({"retrievers": [ONE, TWO], "weights": [1.0]}, "1 weights for 2"),
        ({"retrievers": [ONE, TWO], "weights": [0.0, 0.0]}, "above 0"),
        ({"retrievers": [ONE, TWO], "fusion": "sum"}, "not 'sum'"),
        ({"retrievers": [ONE, TWO], "depth": 0}, "1 or more"),
    ]:
        with pytest.raises(ConfigError, match=said):
            Hybrid(**wrong)  # type: ignore[arg-type]
