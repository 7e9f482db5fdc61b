from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.measure.label_models import (
    KINDS,
    BayesianEnsemble,
    CoSupervised,
    DataProgramming,
    DawidSkene,
    Glad,
    LabelModel,
    Mace,
    Majority,
    OneCoin,
    SoftEnsemble,
    Weighted,
    kind_of,
)
from pilotfish.measure.votes import Votes
from tests.measure.label_models.planted import crowd, even, rules

Make = Callable[[], LabelModel]
MODELS: dict[str, Make] = {
    "majority": Majority,
    "weighted": lambda: Weighted([0.9, 0.8, 0.7, 0.6, 0.75]),
    "dawid-skene": lambda: DawidSkene(max_iter=15, tol=0),
    "dawid-skene, silence": lambda: DawidSkene(abstain="vote", max_iter=15, tol=0),
    "one-coin": lambda: OneCoin(max_iter=15, tol=0),
    "glad": lambda: Glad(max_iter=3, tol=0),
    "mace": lambda: Mace(restarts=1, max_iter=15, tol=0),
    "mace, EM": lambda: Mace("em", restarts=1, max_iter=15, tol=0),
    "data-programming": DataProgramming,
    "data-programming, missing": lambda: DataProgramming(abstain="missing"),
    "soft-ensemble": lambda: SoftEnsemble(max_iter=15, tol=0),
    "bayesian-ensemble": lambda: BayesianEnsemble(max_iter=15, tol=0),
    "bayesian-ensemble, silence": lambda: BayesianEnsemble(abstain="vote", max_iter=15, tol=0),
}
EVERY = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())


@EVERY
def test_better_than_majority_where_sources_differ_and_as_sure_as_right(make: Make) -> None:
    planted = even(4000, (0.95, 0.75, 0.5, 0.5, 0.45))
    right = [
        float((fitted.predict_proba(planted.votes).argmax(axis=1) == planted.truth)[planted.votes.voted].mean())
        for fitted in (_weighted_fit(make, planted.votes, (0.95, 0.75, 0.5, 0.5, 0.45)), Majority().fit(planted.votes))
    ]
    assert right[0] > right[1] + (0.03 if make is not Majority else -0.001)


def _weighted_fit(make: Make, votes: Votes, accuracies: tuple[float, ...]) -> LabelModel:
    model = make()
    if isinstance(model, Weighted):
        model = Weighted(accuracies)
    return model.fit(votes)


@EVERY
@given(order=st.permutations(range(3)))
@settings(max_examples=3, deadline=None)
def test_classes_can_be_renamed_and_reordered(make: Make, order: list[int]) -> None:
    planted = crowd(200)
    names = ["zebra", "ant", "mole"]
    said = [names[c] for c in planted.votes.label.tolist()]
    turned = [names[c] for c in order]
    ids: dict[str, Any] = {"names": range(5), "ids": range(200)}
    votes = Votes.from_columns(planted.votes.row, planted.votes.source, said, classes=turned, **ids)
    first = make().fit(planted.votes).posterior_
    assert make().fit(votes).posterior_ == pytest.approx(first[:, order], abs=1e-5, nan_ok=True)


@EVERY
@given(order=st.permutations(range(5)), rows=st.randoms(use_true_random=False))
@settings(max_examples=3, deadline=None)
def test_the_order_of_sources_and_rows_does_not_matter(make: Make, order: list[int], rows: Any) -> None:
    planted = crowd(120, seed=1)
    model = make()
    if isinstance(model, Weighted):
        model = Weighted(dict(zip(planted.votes.sources, [0.9, 0.8, 0.7, 0.6, 0.75], strict=True)))
    first = model.fit(planted.votes).posterior_
    places = list(range(120))
    rows.shuffle(places)
    other = model.fit(planted.votes.only([str(s) for s in order]).take(places)).posterior_
    assert other == pytest.approx(first[places], abs=1e-4, nan_ok=True)


@EVERY
def test_a_source_that_is_always_silent_changes_nothing(make: Make) -> None:
    planted = crowd(150)
    parts = (planted.votes.row, planted.votes.source, planted.votes.label)
    mute = Votes.from_columns(*parts, classes=range(3), names=range(6), ids=range(150))
    model = make()
    if isinstance(model, Weighted):
        model = Weighted([0.9, 0.8, 0.7, 0.6, 0.75, 0.9])
    first = make().fit(planted.votes).posterior_
    assert model.fit(mute).posterior_ == pytest.approx(first, abs=1e-6, nan_ok=True)


@EVERY
def test_rows_without_votes_say_so(make: Make) -> None:
    planted = crowd(100)
    table = np.full((103, 5), -1)
    table[planted.votes.row, planted.votes.source] = planted.votes.label
    votes = Votes.from_table(table, classes=range(3))
    model = make().fit(votes, {102: 1} if make is not Majority else None)
    proba = model.predict_proba(votes)
    assert np.isnan(proba[100:]).all()
    assert model.predict(votes)[100:] == [None] * 3
    assert np.isnan(model.posterior_[100:102]).all()
    if make is not Majority:
        assert model.posterior_[102].tolist() == [0, 1, 0]
    heard = votes.voted
    assert proba[heard].sum(axis=1) == pytest.approx(np.ones(int(heard.sum())))


@EVERY
def test_saved_and_read_again(make: Make, tmp_path: Path) -> None:
    planted = crowd(150)
    model = make().fit(planted.votes)
    model.save(tmp_path / "model")
    found = LabelModel.load(tmp_path / "model")
    assert type(found) is type(model)
    assert found.settings() == model.settings()
    other = crowd(50, seed=7).votes
    assert np.array_equal(found.predict_proba(other), model.predict_proba(other), equal_nan=True)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "label_model.json",
        "label_model.safetensors",
    ]


@EVERY
def test_new_votes_need_sources_and_classes_that_are_known(make: Make) -> None:
    model = make().fit(crowd(150).votes)
    with pytest.raises(DataError, match="has not seen source 'eve'"):
        model.predict_proba(Votes.from_triples([(0, "eve", 0)], classes=range(3)))
    with pytest.raises(DataError, match="the model knows the classes"):
        model.predict_proba(Votes.from_triples([(0, "1", 0)], classes=range(2)))
    # Other orders of sources and classes are put right.
    votes = crowd(40, seed=5).votes
    turned = Votes.from_columns(
        votes.row, np.array(votes.sources)[votes.source], votes.label, classes=(2, 0, 1), names="43210", ids=range(40)
    )
    assert model.predict_proba(turned) == pytest.approx(model.predict_proba(votes), nan_ok=True)


@EVERY
def test_no_votes_are_refused(make: Make) -> None:
    empty = Votes.from_table(np.full((3, 5), -1), classes=range(3))
    with pytest.raises(DataError, match="no votes"):
        make().fit(empty)


def test_ties_are_drawn_by_the_row_or_told() -> None:
    votes = Votes.from_table([[0, 1]] * 400, ids=[f"row {n}" for n in range(400)])
    model = Majority().fit(votes)
    assert model.predict(votes, ties="none") == [None] * 400
    drawn = model.predict(votes)
    assert 150 < sum(one == 0 for one in drawn) < 250
    assert drawn == model.predict(votes)
    # A row falls the same way wherever it stands.
    places = list(range(399, -1, -1))
    assert model.predict(votes.take(places)) == drawn[::-1]
    with pytest.raises(ConfigError, match="ties"):
        model.predict(votes, ties="first")  # type: ignore[arg-type]


def test_every_kind_has_its_word() -> None:
    assert sorted(KINDS) == sorted({make().kind for make in MODELS.values()} | {"co-supervised"})
    assert kind_of("glad") is Glad
    with pytest.raises(ConfigError, match="did you mean 'dawid-skene'"):
        kind_of("dawid-skeen")


@pytest.mark.parametrize("kind", KINDS)
def test_settings_of_another_type_are_refused(kind: str) -> None:
    votes, where = crowd(40).votes, {"domains": ["a"] * 40} if kind == "co-supervised" else {}
    given: dict[str, Any] = {"accuracies": [0.9] * 5} if kind == "weighted" else {}
    for name, default in KINDS[kind]().settings().items():
        for wrong in ("x", [0.5], None, float("nan"), {"a": 1}):
            if (name, wrong) == ("accuracies", None):
                continue
            with pytest.raises(ConfigError, match=name):
                KINDS[kind](**given | {name: wrong}).fit(votes, **where)
        if isinstance(default, int):
            with pytest.raises(ConfigError, match="whole number"):
                KINDS[kind](**given | {name: 1.5}).fit(votes, **where)


def test_damaged_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a saved label model"):
        LabelModel.load(tmp_path)
    DawidSkene().fit(crowd(50).votes).save(tmp_path)
    file = tmp_path / "label_model.json"
    told = json.loads(file.read_text())
    for wrong in ({"format": 9}, {"kind": "none"}, {"settings": {"smooth": 1}}, {"classes": ["a"]}):
        file.write_text(json.dumps(told | wrong))
        with pytest.raises(ModelError):
            LabelModel.load(tmp_path)
    file.write_text(json.dumps(told))
    (tmp_path / "label_model.safetensors").write_bytes(b"12345678")
    with pytest.raises(ModelError, match="not a saved label model"):
        LabelModel.load(tmp_path)


def test_soft_votes_of_all_certainty_are_hard_votes() -> None:
    planted = crowd(100)
    soft = np.full((100, 5, 3), np.nan)
    soft[planted.votes.row, planted.votes.source] = np.eye(3)[planted.votes.label]
    certain = Votes.from_soft(soft)
    for name, make in MODELS.items():
        first, other = make().fit(planted.votes).posterior_, make().fit(certain).posterior_
        assert np.array_equal(first, other, equal_nan=True), name


@pytest.mark.parametrize("name", [name for name in MODELS if name != "weighted"])
def test_doubt_in_a_vote_is_doubt_in_the_answer(name: str) -> None:
    planted = crowd(300, silent=0.0)
    sure = np.eye(3)[np.stack([planted.votes.label.reshape(300, 5)])[0]]
    doubt = 0.7 * sure + 0.1
    sharp = MODELS[name]().fit(Votes.from_soft(sure)).posterior_.max(axis=1).mean()
    assert MODELS[name]().fit(Votes.from_soft(doubt)).posterior_.max(axis=1).mean() < sharp


@pytest.mark.parametrize("name", [name for name in MODELS if hasattr(MODELS[name](), "tol")])
def test_objectives_never_fall_with_soft_votes_beside_hard_ones(name: str) -> None:
    dice = np.random.default_rng(0)
    planted = crowd(120)
    soft = dice.dirichlet([0.5] * 3, (120, 2))
    soft[dice.random((120, 2)) < 0.3] = np.nan
    both = planted.votes.beside(Votes.from_soft(soft, classes=range(3), sources=("m", "n")))
    model: Any = MODELS[name]()
    model.max_iter = 40
    assert np.diff(model.fit(both).objective_).min() > -1e-7


def test_shy_soft_votes_do_not_make_all_rows_one_class() -> None:
    # With votes divided over classes instead, the likelihood is greatest where one class has all rows.
    dice = np.random.default_rng(0)
    truth = dice.integers(0, 2, 1000)
    odds = (2 * truth - 1)[:, None] * 0.3 + 0.6 * dice.normal(size=(1000, 6))
    shares = 1 / (1 + np.exp(-odds))
    votes = Votes.from_soft(np.stack([1 - shares, shares], axis=2))
    majority = (Majority().fit(votes).posterior_.argmax(axis=1) == truth).mean()
    for model in (DawidSkene(), OneCoin(), BayesianEnsemble(), Mace(), SoftEnsemble()):
        assert (model.fit(votes).posterior_.argmax(axis=1) == truth).mean() > majority - 0.02, model.kind


def test_co_supervision_is_a_label_model_too(tmp_path: Path) -> None:
    planted = rules(300)
    where = ["a" if n % 2 else "b" for n in range(300)]
    model = CoSupervised(abstain="vote").fit(planted.votes, domains=where)
    model.save(tmp_path)
    found = LabelModel.load(tmp_path)
    assert isinstance(found, CoSupervised)
    assert np.array_equal(
        found.predict_proba(planted.votes, domains=where),
        model.predict_proba(planted.votes, domains=where),
        equal_nan=True,
    )
