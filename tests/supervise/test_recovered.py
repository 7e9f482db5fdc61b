"""Performance gap recovered: its formula, its intervals, and when there is none to tell."""

from __future__ import annotations

import numpy as np
import pytest

from pilotfish.errors import DataError
from pilotfish.measure.curve import area
from pilotfish.supervise.recovered import accuracy_of, auroc_of, recovered, when_they_differ


def right(share: float, seeds: int = 5, rows: int = 1000, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.random((seeds, rows, 1)) < share).astype(float)


def test_it_is_the_gain_over_the_gap() -> None:
    weak, strong, ceiling = right(0.7), right(0.8, seed=1), right(0.9, seed=2)
    found = recovered("accuracy", accuracy_of, weak, strong, ceiling)
    assert found.pgr is not None
    expected = (strong.mean() - weak.mean()) / (ceiling.mean() - weak.mean())
    assert found.pgr.value == pytest.approx(expected)
    assert found.pgr.low < 0.5 < found.pgr.high
    assert found.pgr.high - found.pgr.low < 0.4
    assert f"PGR {found.pgr:.2f}" in str(found)


@pytest.mark.parametrize(("strong", "sign"), [(0.6, -1), (0.97, 2)])
def test_it_is_never_clipped(strong: float, sign: int) -> None:
    found = recovered("accuracy", accuracy_of, right(0.7), right(strong, seed=1), right(0.85, seed=2))
    assert found.pgr is not None
    assert found.pgr.value < 0 if sign < 0 else found.pgr.value > 1.5


def test_it_is_hidden_with_its_reason_where_the_gap_is_noise() -> None:
    found = recovered("accuracy", accuracy_of, right(0.80, rows=100), right(0.8, 5, 100, 1), right(0.81, 5, 100, 2))
    assert found.pgr is None
    assert "within noise" in found.hidden or "not above" in found.hidden
    assert found.hidden in str(found)
    below = recovered("accuracy", accuracy_of, right(0.9), right(0.8, seed=1), right(0.7, seed=2))
    assert below.pgr is None
    assert "not above the weak supervisor" in below.hidden
    same = right(0.8)
    assert recovered("accuracy", accuracy_of, same, same, same).pgr is None


def test_rows_are_drawn_together() -> None:
    # Three models that are right on the same rows but for a fixed tenth: the gap has hardly a spread.
    weak = right(0.5)
    weak[:, :200] = 0
    strong, ceiling = weak.copy(), weak.copy()
    strong[:, :100] = 1
    ceiling[:, :200] = 1
    found = recovered("accuracy", accuracy_of, weak, strong, ceiling)
    assert found.pgr is not None
    assert found.pgr.value == pytest.approx(0.5)
    assert found.gap.high - found.gap.low < 0.06
    assert found.weak.high - found.weak.low < 0.08


def test_areas_are_means_over_seeds() -> None:
    random = np.random.default_rng(3)
    truth = np.tile(random.integers(2, size=300), (3, 1)).astype(float)
    tables = [np.stack([truth + random.normal(0, noise, truth.shape), truth], -1) for noise in (3.0, 1.0, 0.5)]
    found = recovered("AUROC", auroc_of, *tables)
    assert found.weak.value == pytest.approx(np.mean([area(one[:, 0], one[:, 1] > 0.5) for one in tables[0]]))
    assert found.pgr is not None
    assert 0.3 < found.pgr.value < 1


def test_where_the_strong_model_differs_from_its_supervisor() -> None:
    weak = np.array([[0, 0, 1, 1], [0, 1, 1, 1]])
    strong = np.array([[0, 1, 0, 1], [0, 0, 1, 1]])
    truth = np.array([[0, 1, 1, 1], [0, 0, 0, 1]])
    share, count = when_they_differ(strong, weak, strong == truth)
    assert count == 3
    assert share.value == pytest.approx(2 / 3)
    share, count = when_they_differ(weak, weak, weak == truth)
    assert count == 0
    assert np.isnan(share.value)


def test_tables_must_fit() -> None:
    with pytest.raises(DataError, match="one shape"):
        recovered("accuracy", accuracy_of, right(0.5), right(0.5, rows=10), right(0.5))
