"""Figures of systems: means, the worst rows, and pairs on the rows that both have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pilotfish.evaluate.judged import against, judged, keys_of
from pilotfish.evaluate.metric import OfRows, over_columns
from pilotfish.evaluate.scores import Scores
from pilotfish.measure.intervals import paired_bootstrap
from pilotfish.rows._row import Row
from tests.evaluate.test_metric import Overlap

METRIC = over_columns(Overlap(), "answer", "reference", name="ov")
ROWS: list[Row] = [{"answer": "a b c"[: 2 * n + 1], "reference": "a", "doc": n // 2} for n in range(3)] * 4


def test_the_worst_rows_come_first_and_less_may_be_better() -> None:
    scores = METRIC(ROWS)
    found = judged(METRIC, scores, iter(ROWS), worst=5)
    assert [case.number for case in found.worst] == [3, 6, 9, 12, 2]
    assert found.worst[0].score == pytest.approx(1 / 3) and found.worst[0].texts[0].text == "a b c"
    less = judged(replace(METRIC, higher=False), scores, iter(ROWS), worst=1)
    assert less.worst[0].score == 1
    told = found.to_json()
    assert told["rows"] == 12 and told["parts"]["words"] == 2 and told["rejected"] == 0
    assert judged(METRIC, scores, iter(()), groups=[str(row["doc"]) for row in ROWS]).to_json()["n"] == 2


def test_rows_are_told_apart_by_what_is_their_own() -> None:
    rows: list[Row] = [{"q": 1, "answer": "x", "answer.note": "n"}, {"q": 1, "answer": "y"}, {"q": 2, "answer": "y"}]
    keys = list(keys_of(rows, ["answer"]))
    assert len(set(keys)) == 3 and keys[1].startswith(keys[0])
    assert list(keys_of([{"q": 1}, {"q": 1}, {"q": 2}], ["answer"])) == keys


def system(values: list[float], name: str) -> tuple[OfRows, Scores]:
    return METRIC, Scores("ov", np.array(values), {}, [""] * len(values))


def test_pairs_are_of_the_rows_that_both_have() -> None:
    keys = [bytes([n]) for n in range(40)]
    dice = np.random.default_rng(0)
    values = dice.random(40)
    one = judged(*system(values.tolist(), "one"), (), system="one")
    # The other lacks the first rows, and has one that nobody else has.
    other = judged(*system([*(values[3:] - 0.25).tolist(), 9.0], "other"), (), system="other")
    groups = {key: str(key[0] // 4) for key in keys}
    found = against(one, other, (keys, [*keys[3:], b"own"]), groups=groups)
    assert found is not None and found.rows == 37
    assert found.above.value == pytest.approx(0.25) and found.to_json()["other"] == "other"
    drawn = paired_bootstrap(values[3:], values[3:] - 0.25, groups=[groups[key] for key in keys[3:]])
    assert found.above.n == drawn.n == 10
    assert against(one, other, (keys, [b"own"] * 38)) is None
