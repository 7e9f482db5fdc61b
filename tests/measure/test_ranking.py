"""Ranking metrics by hand, by trec_eval's conventions, and as properties."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.ranking import (
    average_precision,
    metric_of,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
    success,
)

RANKING = ["x", "a", "b", "y", "c"]
GRADES = {"a": 3, "b": 1, "c": 2, "d": 1, "y": 0, "x": -1}


def test_by_hand() -> None:
    got = 3 / math.log2(3) + 1 / math.log2(4) + 2 / math.log2(6)
    best = 3 / 1 + 2 / math.log2(3) + 1 / math.log2(4) + 1 / math.log2(5)
    assert ndcg(RANKING, GRADES, 10) == pytest.approx(got / best)
    assert ndcg(RANKING, GRADES, 2) == pytest.approx((3 / math.log2(3)) / (3 + 2 / math.log2(3)))
    more = 7 / math.log2(3) + 1 / math.log2(4) + 3 / math.log2(6)
    most = 7 + 3 / math.log2(3) + 1 / math.log2(4) + 1 / math.log2(5)
    assert ndcg(RANKING, GRADES, 10, "exponential") == pytest.approx(more / most)
    assert recall(RANKING, GRADES, 3) == 2 / 4 and recall(RANKING, GRADES, None) == 3 / 4
    assert precision(RANKING, GRADES, 3) == 2 / 3 and precision(RANKING, GRADES, 10) == 3 / 10
    assert reciprocal_rank(RANKING, GRADES) == 1 / 2 and reciprocal_rank(RANKING, GRADES, 1) == 0
    assert average_precision(RANKING, GRADES) == pytest.approx((1 / 2 + 2 / 3 + 3 / 5) / 4)
    assert average_precision(RANKING, GRADES, 2) == pytest.approx((1 / 2) / 4)
    assert success(RANKING, GRADES, 1) == 0 and success(RANKING, GRADES, 2) == 1


@pytest.mark.parametrize(
    "name", ["ndcg@10", "ndcg-exp@5", "recall@100", "precision@3", "mrr@10", "mrr", "map", "success@1"]
)
def test_nothing_relevant_is_0_and_all_first_is_1(name: str) -> None:
    metric = metric_of(name)
    assert metric(["a", "b"], {"c": 0}) == 0 == metric([], {"a": 1})
    assert metric(["a", "b", "c"], {"a": 1, "b": 1, "c": 1}) == 1


grades = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3), min_size=1)


@given(grades, st.permutations("abcdefgh"), st.integers(1, 9))
def test_bounds_and_the_best_order(held: dict[str, int], ranking: list[str], k: int) -> None:
    best = sorted(ranking, key=lambda name: -held.get(name, 0))
    for name in (f"ndcg@{k}", f"ndcg-exp@{k}", f"recall@{k}", f"mrr@{k}", "map", f"map@{k}", f"precision@{k}"):
        metric = metric_of(name)
        assert 0 <= metric(ranking, held) <= metric(best, held) + 1e-12 <= 1 + 1e-9


def test_names() -> None:
    assert metric_of("NDCG@3")(RANKING, GRADES) == ndcg(RANKING, GRADES, 3)
    with pytest.raises(ConfigError, match="did you mean 'recall'"):
        metric_of("recal@10")
    for wrong in ("precision", "success", "map@0"):
        with pytest.raises(ConfigError, match="needs a number"):
            metric_of(wrong)
    with pytest.raises(ConfigError, match="linear or exponential"):
        ndcg(["a"], {"a": 1}, 1, "square")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="'a' is ranked twice"):
        recall(["a", "b", "a"], {"a": 1})
