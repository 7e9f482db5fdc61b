"""Mixtures: draws, laws against a known one, and small models that find the domain that helps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.curate.mixture import Law, mix
from pilotfish.curate.mixture.law import mixtures
from pilotfish.curate.mixture.mix import _drawn
from pilotfish.errors import ConfigError, DataError
from pilotfish.train.settings import Fit
from tests.tiny import write_lm

pytest.importorskip("torch")

NATURAL = [0.6, 0.3, 0.1]


def test_mixtures_lie_about_the_natural_one() -> None:
    drawn = mixtures(NATURAL, 4000, seed=3)
    np.testing.assert_allclose(drawn.sum(axis=1), 1)
    assert (drawn > 0).all() and drawn.max() > 0.95
    np.testing.assert_allclose(drawn.mean(axis=0), NATURAL, atol=0.03)
    near = mixtures(NATURAL, 4000, spread=50, seed=3)
    assert near.std(axis=0).max() < drawn.std(axis=0).max()


@pytest.mark.parametrize("kind", ["linear", "quadratic", "constant"])
def test_a_law_is_found_again(kind: str) -> None:
    random = np.random.default_rng(1)
    x = mixtures(NATURAL, 60, seed=1)
    laws: dict[str, Callable[[Any], Any]] = {
        "linear": lambda w: 3 - 0.8 * w[:, 0] + 0.5 * w[:, 2],
        "quadratic": lambda w: 2 + 4 * (w[:, 1] - 0.5) ** 2,
        "constant": lambda w: np.full(len(w), 2.5),
    }
    truth = laws[kind]
    law = Law().fit(x, truth(x) + 0.01 * random.normal(size=60))
    assert law.kind_ == kind
    fresh = mixtures(NATURAL, 500, seed=9)
    assert np.sqrt(np.mean((law.predict(fresh) - truth(fresh)) ** 2)) < 0.05
    if kind == "constant":
        assert np.isnan(law.rank_)
        return
    best = law.recommend(NATURAL)
    assert best.sum() == pytest.approx(1) and law.rank_ > 0.9
    assert truth(best[None])[0] < truth(np.array([NATURAL]))[0]
    assert best.argmax() == (0 if kind == "linear" else 1)


def test_texts_are_drawn_by_their_shares() -> None:
    held = {"a": ["x" * 100] * 7, "b": ["y" * 10] * 500, "c": ["z" * 50]}
    rows = _drawn(held, np.array([0.5, 0.3, 0.2]), 20_000, [0, 1])
    found = "".join(row["text"] for row in rows)
    shares = [found.count(letter) / len(found) for letter in "xyz"]
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=0.02)
    rare = [len(_drawn(held, np.array([1 - 1e-4, 0, 1e-4]), 20_000, [s])) for s in range(400)]
    assert 200 < np.mean(rare) < 201 + 5


CATS = [f"the cat sat on the mat and the cat {i}" for i in range(40)]
NOISE = ["".join(chr(97 + c) for c in np.random.default_rng(i).integers(0, 26, 40)) for i in range(120)]


def test_small_models_find_the_domain_that_helps(tmp_path: Path) -> None:
    student = write_lm(tmp_path / "student", "llama", seed=4)
    how = Fit(steps=6, batch_tokens=200, rate=1e-2, dtype="float32")
    test = [f"the cat sat on the cat, the mat {i}" for i in range(6)]
    given: dict[str, Any] = {"fit": how, "tried": 8, "seeds": (0, 1), "device": "cpu", "length": 64, "progress": False}
    domains = {"noise": NOISE, "cats": CATS}
    found = mix(domains, test, student, tmp_path / "out", **given)
    assert found.weights["cats"] > 0.6 > found.natural["cats"] and found.law != "constant"
    assert found.gain is not None and found.gain.low > 0 and found.predicted[0] < found.predicted[1]
    assert mix(domains, test, student, tmp_path / "out", **given) == found
    assert "mixtures tried" in str(found)


def test_what_cannot_be_mixed(tmp_path: Path) -> None:
    how = Fit(steps=1)
    with pytest.raises(ConfigError, match="two domains"):
        mix({"a": ["x"]}, ["t"], "s", tmp_path, fit=how)
    with pytest.raises(ConfigError, match=r"fit\.steps"):
        mix({"a": ["x"], "b": ["y"]}, ["t"], "s", tmp_path, fit=Fit())
    with pytest.raises(ConfigError, match="four mixtures"):
        mix({"a": ["x"], "b": ["y"]}, ["t"], "s", tmp_path, fit=how, tried=3)
    with pytest.raises(DataError, match="'b' has no texts"):
        mix({"a": ["x"], "b": [" "]}, ["t"], "s", tmp_path, fit=how)
    with pytest.raises(DataError, match="1 texts of the domain 'a' are tested"):
        mix({"a": ["x", "t "], "b": ["y"]}, ["t"], "s", tmp_path, fit=how)
    with pytest.raises(DataError, match="four mixtures"):
        Law().fit([[1.0, 0.0]] * 3, [1.0] * 3)
