"""Intervals over seeds and rows: what they are of, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from pilotfish.measure.intervals import drawn_again, redrawn


def test_both_spreads_are_in_it() -> None:
    random = np.random.default_rng(0)
    held, trials = 0, 150
    for _ in range(trials):
        seeds, rows = random.normal(0, 0.05, (10, 1)), random.normal(0, 0.5, (1, 200))
        found = drawn_again(0.7 + seeds + rows + random.normal(0, 0.1, (10, 200)), lambda each: float(each.mean()))
        held += found.low <= 0.7 <= found.high
    assert held / trials == pytest.approx(0.93, abs=0.05)
    assert found.n == 200
    rows_alone = drawn_again(np.tile(np.linspace(0, 1, 50), (3, 1)), lambda each: float(each.mean()))
    assert rows_alone.low < 0.45 < 0.55 < rows_alone.high


def test_what_is_no_number_does_not_count() -> None:
    table = np.array([[1.0, np.nan, 3.0]])

    def odd(each: np.ndarray) -> tuple[float, ...]:
        return float(each.mean()), float(np.nanmean(each)) if not np.isnan(each).all() else float("nan")

    plain, other = redrawn(table, odd)
    assert np.isnan(plain.value)
    assert plain.low >= 1  # of the draws without it
    assert other.value == 2
    nothing = drawn_again(np.full((1, 2), np.nan), lambda each: float(each.mean()))
    assert np.isnan(nothing.low)
