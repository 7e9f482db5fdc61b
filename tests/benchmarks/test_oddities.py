"""The benchmark of oddities: every kind of metric is tried, and pairs are odd in every way that it names."""

from __future__ import annotations

from typing import Any

from benchmarks.oddities import ODD, WAYS, of_metric, pairs

from pilotfish.assemble._specs_metrics import METRICS
from pilotfish.evaluate.lexical import Rouge
from pilotfish.evaluate.metric import over_columns


def test_every_kind_is_tried_and_pairs_are_odd() -> None:
    assert METRICS.keys() == WAYS.keys()
    rows = pairs(400, 1000)
    seen = {kind for row in rows for kind in row["kinds"]}
    assert seen == {*ODD, "plain", "long"} and pairs(400, 1000) == rows
    assert any(isinstance(row["reference"], list) for row in rows)


def test_what_is_not_told_is_counted() -> None:
    rows = [row for row in pairs(120, 1000) if "one word" not in row["kinds"]]
    metric = over_columns(Rouge("rouge1"), "answer", "reference", name="r")
    finite, told, _ = of_metric("r", metric, rows, by_model=False)
    assert (finite["value"], told["value"]) == (1, 1) and told["n"] > 20
    quiet: Any = over_columns(lambda a, b: _silent(Rouge("rouge1")(a, b)), "answer", "reference", name="r")
    assert list(of_metric("r", quiet, rows, by_model=False))[1]["value"] < 0.7


def _silent(scores: Any) -> Any:
    from dataclasses import replace

    return replace(scores, notes=[""] * len(scores))
