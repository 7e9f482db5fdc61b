from __future__ import annotations

import json

import numpy as np
import pytest

from pilotfish.compete.candidate import Candidate, common_rows
from tests.compete.help import scored


def test_an_answer_without_a_label_is_wrong_and_counted() -> None:
    one = Candidate("k", "K", "large", np.arange(4), ["a", None, "b", "a"], ["a", "a", "b", "b"])
    assert one.correct.tolist() == [1, 0, 1, 0]
    assert one.failures == 1
    assert one.accuracy.value == 0.5
    assert one.accuracy.low < 0.5 < one.accuracy.high
    assert one.macro_f1 == pytest.approx((0.5 + 2 / 3) / 2)


def test_scores_are_looked_up_by_the_row_not_by_the_place() -> None:
    one = scored("large", [1, 0, 1], rows=np.array([7, 2, 5]))
    assert one.on(np.array([5, 2, 7, 2])).tolist() == [1, 0, 1, 0]
    with pytest.raises(KeyError):
        one.on(np.array([3]))


def test_common_rows_are_those_that_all_answered_in_order() -> None:
    a = scored("small", [1] * 6)
    b = scored("large", [1] * 3, rows=np.array([5, 1, 3]))
    c = scored("cascade", [1] * 2, rows=np.array([3, 5]))
    assert common_rows([a, b, c]).tolist() == [3, 5]
    assert common_rows([b]).tolist() == [5, 1, 3]


def test_the_json_form_has_the_numbers_a_reader_wants() -> None:
    one = scored("small", [1, 1, 0, 1], dollars=0.002, labels_used=12)
    data = json.loads(json.dumps(one.to_json()))
    assert data["accuracy"]["value"] == 0.75
    assert data["usd_per_1000_rows"] == pytest.approx(2.0)
    assert data["labels_used"] == 12
    assert scored("large", [1], dollars=None).to_json()["usd_per_1000_rows"] is None
