"""Additive models: interpret's own answers from tables, and what each term adds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.errors import DataError, ModelError
from pilotfish.models.additive import Additive, Bins, Term, from_interpret

glassbox = pytest.importorskip("interpret.glassbox")


def made(rows: int = 400, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    x = np.column_stack(
        [rng.normal(size=rows), rng.integers(0, 12, rows).astype(float), rng.normal(size=rows).round(1)]
    )
    x[rng.random(rows) < 0.1, 0] = np.nan
    x[rng.random(rows) < 0.1, 1] = np.nan
    return x


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["two", "three", "number"])
def test_interpret_s_models(kind: str, tmp_path: Path) -> None:
    x = made()
    number = np.nan_to_num(x[:, 0]) + 2 * (x[:, 1] % 3 == 0) + x[:, 2] * (x[:, 1] > 5)
    y: Any = {"two": number > 0.7, "three": np.digitize(number, [0, 1]), "number": number}[kind]
    kinds = glassbox.ExplainableBoostingRegressor if kind == "number" else glassbox.ExplainableBoostingClassifier
    types = ["continuous", "nominal", "continuous"]
    model = kinds(interactions=2, outer_bags=1, max_rounds=60, feature_types=types, n_jobs=1).fit(x, y)
    found = from_interpret(model, 3)
    new = made(seed=5)
    new[:20, 1] = 40  # never seen
    new[20:30, 2] = np.nan
    wanted = model.predict(new) if kind == "number" else model.predict_proba(new)
    np.testing.assert_allclose(found.predict(new), wanted, atol=1e-9)
    # What the terms add is all there is.
    whole = found.base + found.contributions(new).sum(axis=1)
    assert np.abs(whole - found.raw(new)).max() < 1e-9
    found.save(tmp_path)
    np.testing.assert_array_equal(Additive.load(tmp_path).predict(new), found.predict(new))


def by_hand() -> Additive:
    bins = Bins(0, np.array([0.0, 1.0]), None, 5)
    codes = Bins(1, None, np.array([1, 0, 2]), 4)
    first = Term((bins,), np.array([9.0, -1.0, 0.0, 1.0, 8.0])[:, None])
    both = Term((bins, codes), np.arange(20.0).reshape(5, 4, 1))
    return Additive((first, both), np.array([0.5]), 2, "identity")


def test_places_are_looked_up() -> None:
    x = np.array([[-1.0, 0], [0.0, 2], [0.5, 1], [1.0, 7], [np.nan, np.nan], [2.0, 0.5], [2.0, -1]])
    adds = by_hand().contributions(x)[:, :, 0]
    # Missing is the first place, what was never seen the last; code 1 was never seen either.
    np.testing.assert_array_equal(adds[:, 0], [-1, 0, 0, 1, 9, 1, 1])
    np.testing.assert_array_equal(adds[:, 1], [4 + 1, 8 + 2, 8 + 3, 12 + 3, 0, 12 + 3, 12 + 3])
    np.testing.assert_allclose(by_hand().predict(x), 0.5 + adds.sum(axis=1))
    with pytest.raises(DataError, match="2 columns"):
        by_hand().predict(x[:, :1])


@pytest.mark.parametrize("fault", ["column", "size", "code", "scores"])
def test_tables_that_rows_fall_out_of_are_not_loaded(tmp_path: Path, fault: str) -> None:
    good = by_hand().terms[1]
    bins, codes = good.bins
    wrong = {
        "column": Term((Bins(2, bins.cuts, None, 5), codes), good.scores),
        "size": Term((Bins(0, np.array([0.0]), None, 5), codes), good.scores),
        "code": Term((bins, Bins(1, None, np.array([9]), 4)), good.scores),
        "scores": Term((bins, codes), good.scores[:3]),
    }[fault]
    Additive((wrong,), np.array([0.5]), 2, "identity").save(tmp_path)
    with pytest.raises(ModelError, match="damaged"):
        Additive.load(tmp_path)
