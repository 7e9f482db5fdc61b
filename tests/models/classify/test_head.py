"""The softmax head against scikit-learn and scipy, and its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import DataError, ModelError
from pilotfish.models.classify.head import SoftmaxHead, fit_temperature, softmax

linear = pytest.importorskip("sklearn.linear_model")
optimize = pytest.importorskip("scipy.optimize")
sparse = pytest.importorskip("scipy.sparse")


def blobs(classes: int, rows: int = 120, width: int = 6, seed: int = 0) -> tuple[Any, list[str]]:
    rng = np.random.default_rng(seed)
    y = np.arange(rows) % classes
    x = rng.normal(size=(classes, width))[y] + rng.normal(size=(rows, width))
    return x.astype(np.float32), [f"class {i}" for i in y]


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_probabilities_are_scikit_learns(classes: int, form: Callable[[Any], Any]) -> None:
    x, y = blobs(classes)
    theirs = linear.LogisticRegression(C=3.0, max_iter=1000).fit(form(x), y)
    head = SoftmaxHead(c=3.0).fit(form(x), y)
    assert head.classes_ == theirs.classes_.tolist()
    np.testing.assert_allclose(head.predict_proba(form(x)), theirs.predict_proba(form(x)), atol=2e-6)
    assert head.predict(form(x)) == theirs.predict(form(x)).tolist()
    assert head.coef_.dtype == head.intercept_.dtype == np.float32


def test_weights_of_rows_count_as_scikit_learns() -> None:
    x, y = blobs(3)
    weights = np.linspace(0.1, 2, len(y))
    theirs = linear.LogisticRegression(C=10.0, max_iter=1000).fit(x, y, sample_weight=weights)
    np.testing.assert_allclose(SoftmaxHead().fit(x, y, weights).predict_proba(x), theirs.predict_proba(x), atol=2e-6)


def test_labels_that_are_numbers_are_texts() -> None:
    x, _ = blobs(2)
    numbers: Any = [i % 2 for i in range(len(x))]
    head = SoftmaxHead().fit(x, numbers)
    assert head.classes_ == ["0", "1"]
    assert head.calibrate(x, numbers).temperature_ != 1.0


def test_no_rows_give_no_probabilities() -> None:
    x, y = blobs(3)
    head = SoftmaxHead().fit(x, y)
    assert head.predict_proba(x[:0]).shape == (0, 3)
    assert head.predict(x[:0]) == []


def test_one_class_is_no_task() -> None:
    x, _ = blobs(2)
    with pytest.raises(DataError, match="at least two classes"):
        SoftmaxHead().fit(x, ["a"] * len(x))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(0, 10_000), st.floats(0.15, 8.0))
def test_the_temperature_is_the_one_scipy_finds(classes: int, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(200, classes))
    targets = np.array([rng.choice(classes, p=p) for p in softmax(logits)])
    logits *= scale

    def loss(log_t: float) -> float:
        return float(-np.log(softmax(logits / np.exp(log_t))[np.arange(200), targets] + 1e-300).mean())

    theirs = optimize.minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x
    ours = fit_temperature(logits, targets)
    assert loss(np.log(ours)) <= loss(theirs) + 1e-6
    assert 0.05 <= ours <= 20.001


def test_calibrating_lowers_the_loss_keeps_the_ranks_and_can_be_done_again() -> None:
    x, y = blobs(3, rows=300)
    head = SoftmaxHead(c=1000.0).fit(x[:60], y[:60])
    index = [head.classes_.index(label) for label in y[60:]]

    def loss() -> float:
        return float(-np.log(head.predict_proba(x[60:])[np.arange(240), index]).mean())

    before, ranks = loss(), head.predict(x)
    head.calibrate(x[60:], y[60:])
    first = head.temperature_
    assert loss() < before
    assert first > 1.0
    assert head.predict(x) == ranks
    assert head.calibrate(x[60:], y[60:]).temperature_ == pytest.approx(first, rel=1e-3)


def test_calibrating_passes_over_labels_it_does_not_know() -> None:
    x, y = blobs(3)
    head = SoftmaxHead().fit(x, y)
    known = head.calibrate(x, y).temperature_
    more = np.concatenate([x, x[:20]])
    assert head.calibrate(more, [*y, *["unseen"] * 20]).temperature_ == pytest.approx(known, rel=1e-3)
    head.calibrate(x[:20], ["unseen"] * 20)
    assert head.temperature_ == pytest.approx(known, rel=1e-3)


def test_a_saved_head_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    x, y = blobs(4)
    head = SoftmaxHead(c=2.0).fit(x, [f"{label} “é”\n" for label in y]).calibrate(x, [f"{label} “é”\n" for label in y])
    head.save(tmp_path / "a" / "b")
    again = SoftmaxHead.load(tmp_path / "a" / "b")
    assert (again.classes_, again.temperature_, again.c) == (head.classes_, head.temperature_, 2.0)
    np.testing.assert_array_equal(again.predict_proba(x), head.predict_proba(x))
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == ["head.json", "head.safetensors"]


def test_no_pickle_stands_in_the_source() -> None:
    import pilotfish.models

    for source in Path(pilotfish.models.__file__).parent.rglob("*.py"):
        text = source.read_text(encoding="utf-8")
        assert "import pickle" not in text, source
        assert "joblib" not in text, source


def edit(**changes: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        facts = json.loads((folder / "head.json").read_text())
        (folder / "head.json").write_text(json.dumps({k: v for k, v in {**facts, **changes}.items() if v is not None}))

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: (f / "head.json").unlink(), "No such file"),
        (lambda f: (f / "head.json").write_text("{"), "not a saved classifier head"),
        (lambda f: (f / "head.json").write_text("[]"), "not a saved classifier head"),
        (lambda f: (f / "head.safetensors").unlink(), "No such file"),
        (lambda f: (f / "head.safetensors").write_bytes(b"\0" * 3), "not a saved classifier head"),
        (
            lambda f: (f / "head.safetensors").write_bytes((f / "head.safetensors").read_bytes()[:-4]),
            "not a saved classifier head",
        ),
        (edit(classes=["a", "b"]), "arrays of .* for 2 classes"),
        (edit(classes=None), "'classes' is missing"),
        (edit(temperature=0), "its temperature is 0.0"),
        (edit(temperature=float("nan")), "its temperature is nan"),
        (edit(temperature="hot"), "not a saved classifier head"),
        (edit(format=9), "a classifier head of format 9; this version reads 1"),
    ],
)
def test_a_damaged_head_is_one_line(tmp_path: Path, change: Callable[[Path], object], said: str) -> None:
    x, y = blobs(3)
    SoftmaxHead().fit(x, y).save(tmp_path)
    change(tmp_path)
    with pytest.raises(ModelError, match=said) as caught:
        SoftmaxHead.load(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
