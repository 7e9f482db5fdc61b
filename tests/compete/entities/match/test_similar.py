"""How alike two records are, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pilotfish.compete.entities.match import Pair
from pilotfish.compete.entities.match.similar import Similarities


def told(similar: Similarities, left: dict[str, str], right: dict[str, str]) -> dict[str, float]:
    return dict(zip(similar.names, similar([Pair(left, right)])[0].tolist(), strict=True))


def test_by_hand() -> None:
    pairs = [Pair({"name": "red ale", "price": "10"}, {"name": "ale", "price": "8", "extra": "x"}, True)]
    similar = Similarities.of(pairs)
    assert similar.columns == ["name", "price"]
    one = told(similar, dict(pairs[0].left), {"name": "Ale red", "price": "$ 8.00"})
    assert one["name: words"] == 1.0 and one["name: token set"] == 1.0 and one["name: ratio"] < 1
    assert one["price: number"] == pytest.approx(0.8) and math.isnan(one["name: number"])
    assert one["name: one missing"] == 0.0
    empty = told(similar, {"name": "", "price": "1,000"}, {"name": "x", "price": "1000"})
    assert math.isnan(empty["name: ratio"]) and empty["name: one missing"] == 1.0
    assert empty["price: number"] == 1.0 and empty["price: one missing"] == 0.0
    both = told(similar, {"name": ""}, {"name": ""})
    assert both["name: one missing"] == 0.0 and both["record: rare words"] == 0.0


def test_rare_words_are_the_cosine_of_their_weights() -> None:
    similar = Similarities(["a"], {"x": 2.0, "y": 1.0})
    one = told(similar, {"a": "x y"}, {"a": "x z"})
    # z was never seen: as rare as the rarest.
    assert one["record: rare words"] == pytest.approx(4 / (math.sqrt(5) * math.sqrt(8)))
    assert math.isnan(one["record: codes"])
    assert told(similar, {"a": "mx30 pro"}, {"a": "MX30 lite 5"})["record: codes"] == 0.5
    assert np.isfinite(similar([Pair({"a": "x"}, {"a": "x"})])[0][-2])
