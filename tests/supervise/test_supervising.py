"""A strong model from weak labels, measured: what it is held against, what a killed run keeps, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.models.classify import TextClassifier, TfidfFeatures
from pilotfish.supervise.strong.chain import Chain
from pilotfish.supervise.strong.loss import Objective
from pilotfish.supervise.strong.model import StrongModel
from pilotfish.supervise.strong.probe import Probe
from pilotfish.supervise.supervising import Rows, supervise
from tests.supervise.strong.test_model import rows, weak_of

CLASSES = ["animals", "tools"]


def given(count: int, wrong: float, seed: int, silent: int = 0) -> Rows:
    texts, truth = rows(count, seed)
    weak = weak_of(truth, wrong, seed + 100)
    weak[:silent] = np.nan
    return Rows(texts, weak, [CLASSES[i] for i in truth])


class Made:
    """Makes models, and counts them."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.made: list[int] = []
        self.stop_at = stop_at

    def __call__(self, seed: int) -> StrongModel:
        if len(self.made) == self.stop_at:
            raise KeyboardInterrupt
        self.made.append(seed)
        return StrongModel(TfidfFeatures(), Probe(epochs=10, rows=64, decays=(0.01,), seed=seed), Objective(0.5))


def test_the_gap_is_recovered_and_the_model_kept(tmp_path: Path) -> None:
    learn, test = given(300, 0.3, 1, silent=40), given(200, 0.3, 2, silent=20)
    made = Made()
    report = supervise(learn, test, CLASSES, made, tmp_path, seeds=(0, 1, 2), progress=False)
    assert made.made == [0, 0, 1, 1, 2, 2]
    assert (report.rows, report.tested, report.seeds, report.how) == (260, 200, 3, "probe")
    accuracy, auroc = report.gaps
    assert (accuracy.metric, auroc.metric) == ("accuracy", "AUROC")
    assert accuracy.pgr is not None
    assert accuracy.pgr.value > 0.6
    assert report.weak is not None
    assert report.strong is not None
    assert 0.6 < report.weak.value < 0.75 < report.strong.value
    assert report.differ is not None
    assert report.differ.value > 0.8
    assert set(report.calibration) == {"weak", "strong", "ceiling"}
    classifier = TextClassifier.load(report.folder)
    assert classifier.predict(["the cat and the dog", "the saw and the drill"]) == CLASSES
    again = supervise(learn, test, CLASSES, made, tmp_path, seeds=(0, 1, 2), progress=False)
    assert len(made.made) == 6
    assert again == report
    for part in ("PGR", "weak", "where they differ", "calibration error"):
        assert part in str(report)


def test_a_chain_s_ceiling_is_its_last_model_s_own(tmp_path: Path) -> None:
    class Blank(TfidfFeatures):
        def transform(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> Any:
            return super().transform(texts) * 0

    def one(seed: int) -> StrongModel:
        return StrongModel(TfidfFeatures(), Probe(epochs=10, rows=64, decays=(0.01,), seed=seed))

    def chain(seed: int) -> Chain:
        return Chain([StrongModel(Blank(), Probe(epochs=1, rows=64, decays=(0.01,), seed=seed)), one(seed)])

    learn, test = given(120, 0.1, 1), given(60, 0.1, 2)
    alone = supervise(learn, test, CLASSES, one, tmp_path / "a", seeds=(0,), progress=False)
    handed = supervise(learn, test, CLASSES, chain, tmp_path / "b", seeds=(0,), progress=False)
    assert alone.gaps[0].ceiling == handed.gaps[0].ceiling
    assert handed.strong is not None
    assert handed.strong.value < handed.gaps[0].ceiling.value - 0.2  # what it was handed on is worth nothing


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    learn, test = given(120, 0.3, 1), given(60, 0.3, 2)
    stopped = Made(stop_at=3)
    with pytest.raises(KeyboardInterrupt):
        supervise(learn, test, CLASSES, stopped, tmp_path / "a", seeds=(0, 1), progress=False)
    rest = Made()
    report = supervise(learn, test, CLASSES, rest, tmp_path / "a", seeds=(0, 1), progress=False)
    assert rest.made == [1]
    whole = supervise(learn, test, CLASSES, Made(), tmp_path / "b", seeds=(0, 1), progress=False)
    first, second = (json.loads(json.dumps(one.to_json() | {"folder": ""})) for one in (report, whole))
    assert first == second


def test_without_people_s_labels_there_is_no_ceiling_and_without_a_test_no_measure(tmp_path: Path) -> None:
    learn = given(120, 0.2, 1)
    alone = Rows(learn.texts, learn.weak, [None] * 120)
    report = supervise(alone, given(60, 0.2, 2), CLASSES, Made(), tmp_path / "a", seeds=(0,), progress=False)
    assert report.gaps == ()
    assert report.strong is not None
    made = Made()
    report = supervise(learn, None, CLASSES, made, tmp_path / "b", progress=False)
    assert made.made == [0]
    assert (report.tested, report.weak, report.calibration) == (0, None, {})
    assert TextClassifier.load(report.folder).classes_ == CLASSES
    assert supervise(learn, None, CLASSES, made, tmp_path / "b", progress=False) == report


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    learn, test = given(30, 0.2, 1), given(30, 0.2, 2)

    def fails(told: str, one: Rows = learn, other: Rows | None = test) -> None:
        with pytest.raises(DataError, match=told):
            supervise(one, other, CLASSES, Made(), tmp_path / "x", progress=False)

    fails("no row has a weak label", Rows(learn.texts, np.full((30, 2), np.nan), learn.people))
    fails("row 1 of those to learn from: 'eggs'", Rows(learn.texts, learn.weak, ["eggs", *learn.people[1:]]))
    fails("row 2 of those to test has no label", other=Rows(test.texts, test.weak, ["tools", None, *test.people[2:]]))
    fails("30 tested texts are among those that are learnt", other=learn)
    with pytest.raises(DataError, match="2 weak labels"):
        Rows(["a"], np.ones((2, 2)), [None])
    with pytest.raises(ConfigError, match="one seed or more"):
        supervise(learn, test, CLASSES, Made(), tmp_path / "x", seeds=())
    supervise(learn, None, CLASSES, Made(), tmp_path / "y", progress=False)
    with pytest.raises(DataError, match="another run"):
        supervise(learn, test, CLASSES, Made(), tmp_path / "y", progress=False)
