"""What transparency costs: paired, on the same rows, and nothing where both say the same."""

from __future__ import annotations

import numpy as np
import pytest

from pilotfish.compete.explain import prices
from pilotfish.errors import DataError

RNG = np.random.default_rng(0)
Y = (RNG.random(400) < 0.4).astype(float)


def told(right: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    hit = np.where(rng.random(len(Y)) < right, Y, 1 - Y)
    second = np.clip(0.1 + 0.8 * hit + 0.05 * rng.normal(size=len(Y)), 0.01, 0.99)
    return np.stack([1 - second, second], axis=1)


def test_a_worse_one_costs_and_the_same_one_does_not() -> None:
    best, worse = told(0.95, 1), told(0.75, 2)
    dear, free = prices(
        {"rules": worse, "twin": best}, {"trees": best, "weak": told(0.6, 3)}, Y, "accuracy", resamples=300
    )
    assert dear.opaque == "trees" and dear.shown and dear.paid.low > 0.1
    assert dear.paid.value == pytest.approx(dear.other.value - dear.own.value)
    assert free.paid.value == 0 and not free.shown
    named = prices({"rules": worse}, {"trees": best, "weak": told(0.6, 3)}, Y, "auc", best="weak", resamples=300)[0]
    assert named.opaque == "weak" and named.paid.high < 0


def test_numbers_have_a_price_too() -> None:
    y = RNG.normal(size=200)
    (one,) = prices({"line": y + 1.0}, {"trees": y + 0.1}, y, "r2")
    assert one.paid.low > 0 and one.own.value < one.other.value


def test_what_cannot_be_compared_is_told() -> None:
    with pytest.raises(DataError, match="opaque"):
        prices({"rules": told(0.9, 1)}, {}, Y, "auc")
    with pytest.raises(DataError, match="opaque"):
        prices({"rules": told(0.9, 1)}, {"trees": told(0.9, 1)}, Y, "auc", best="forest")
    with pytest.raises(DataError, match="same rows"):
        prices({"rules": told(0.9, 1)[:5]}, {"trees": told(0.9, 1)}, Y, "auc")
