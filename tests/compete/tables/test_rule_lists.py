"""Rule lists that are learnt: planted ones are found, how far they hold is told on rows that found nothing."""

from __future__ import annotations

import numpy as np
import pytest

from pilotfish.compete.tables.rule_lists import USUAL, learnt
from pilotfish.models.rules import RuleList


def planted(rows: int = 900, noise: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.stack([rng.normal(size=rows), rng.integers(0, 3, rows).astype(float), rng.normal(size=rows)], axis=1)
    x[rng.random(rows) < 0.1, 2] = np.nan
    y = np.where((x[:, 0] > 0) & (x[:, 1] == 1), 1.0, np.where(np.isnan(x[:, 2]), 1.0, 0.0))
    flip = rng.random(rows) < noise
    return x, np.where(flip, 1 - y, y)


def test_planted_rules_are_found() -> None:
    x, y = planted()
    model = learnt(x, y, [1], number=False, settings=USUAL)
    fresh, truth = planted(seed=1)
    right = model.predict(fresh).argmax(axis=1) == truth
    assert right.mean() > 0.97
    words = model.in_words(["a", "plan", "c"], {"plan": {"x": 0, "y": 1, "z": 2}})
    assert any("plan is y" in one and "a > " in one for one in words) and any("c is missing" in one for one in words)
    assert len(model.rules) <= 4


def test_what_rules_hold_is_told_honestly() -> None:
    x, y = planted(noise=0.2)
    model = learnt(x, y, [1], number=False, settings=USUAL)
    assert sum(rule.rows for rule in model.rules) == len(y)
    assert sum(rule.checked for rule in model.rules) == len(y) // 3
    held = sum(rule.checked * (rule.held or 0) for rule in model.rules) / (len(y) // 3)
    assert held == pytest.approx(0.8, abs=0.06)


def test_noise_alone_gives_no_rule() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(300, 6)), (rng.random(300) < 0.4).astype(float)
    model = learnt(x, y, [], number=False, settings=USUAL)
    assert len(model.rules) == 1
    np.testing.assert_allclose(model.rules[0].answer, [(y == 0).mean(), (y == 1).mean()], atol=1e-9)


def test_the_best_first_rule_is_the_best_of_all() -> None:
    """A list of one rule is looked for among all candidates: no single cut tells the classes apart better."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(400, 2))
    y = (x[:, 1] > 0.3).astype(float)
    model = learnt(x, y, [], number=False, settings={"rules": 1, "width": 1, "least": 0.01})
    (condition,) = model.rules[0].conditions
    assert condition.column == 1 and abs(condition.value - 0.3) < 0.25  # the cuts are quantiles


@pytest.mark.parametrize("width", [1, 2, 3])
def test_numbers_and_widths(width: int) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(600, 3))
    y = np.where(x[:, 0] > 0, 10.0, 0.0) + 0.1 * rng.normal(size=600)
    model = learnt(x, y, [], number=True, settings={"rules": 6, "width": width, "least": 0.01})
    assert isinstance(model, RuleList) and model.number
    gap = model.predict(x) - y
    assert np.mean(gap**2) < 0.3 * np.var(y)
    assert all(len(rule.conditions) <= width for rule in model.rules)


def test_the_same_seed_gives_the_same_list() -> None:
    x, y = planted(noise=0.1)
    first, second = (learnt(x, y, [1], number=False, settings=USUAL, seed=2) for _ in range(2))
    assert first == second


def test_few_rows_and_odd_columns() -> None:
    x = np.array([[np.nan, 1.0], [np.nan, 1.0], [np.nan, 1.0], [np.nan, 1.0], [np.nan, 2.0]])
    y = np.array([0.0, 0, 0, 0, 1])
    model = learnt(x, y, [], number=False, settings=USUAL)
    assert np.isfinite(model.predict(x)).all()
