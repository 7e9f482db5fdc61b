"""Every kind of router: learns what is there to learn, copes with holes, comes back from its file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.infer.routing import (
    BoostedRouter,
    FactorRouter,
    KnnRouter,
    LinearRouter,
    Outcomes,
    Router,
    Trade,
    TunedRouter,
    load_router,
)
from pilotfish.models.classify.features import EncoderFeatures, TfidfFeatures
from pilotfish.models.encoder import Encoder
from tests.infer.routing.help import MODELS, made

KINDS: dict[str, Callable[[], Router]] = {
    "knn": lambda: KnnRouter(k=20),
    "linear": lambda: LinearRouter(TfidfFeatures()),
    "boosted": BoostedRouter,
    "factor": lambda: FactorRouter(factors=2),
}


@pytest.fixture(params=KINDS)
def router(request: pytest.FixtureRequest) -> Router:
    return KINDS[request.param]()


def gain(router: Router, fresh: Outcomes) -> float:
    """Mean quality of the chosen of the two cheap models, less that of the better of the two alone."""
    quality = router.predict(fresh.texts).quality[:, :2]
    chosen = Trade().choose(quality, fresh.cost[:, :2])
    return float(fresh.quality[np.arange(len(fresh)), chosen].mean() - fresh.quality[:, :2].mean(axis=0).max())


def test_a_router_sends_each_subject_to_the_model_that_is_good_at_it(router: Router) -> None:
    assert gain(router.fit(made()), made(seed=1)) > 0.25


def test_holes_in_the_outcomes_are_left_out_not_taken_for_failures(router: Router) -> None:
    found = router.fit(made(600, missing=0.5))
    assert gain(found, made(seed=1)) > 0.2
    assert found.predict(made(seed=1).texts).quality[:, 2].mean() == pytest.approx(0.95, abs=0.08)


def test_graded_quality_is_foretold_on_its_own_scale(router: Router) -> None:
    outcomes = made(graded=True)
    fresh = made(seed=1, graded=True)
    error = np.abs(router.fit(outcomes).predict(fresh.texts).quality - fresh.quality).mean()
    assert error < 0.12


def test_costs_are_foretold_from_the_prompt_s_surface(router: Router) -> None:
    fresh = made(seed=1)
    foretold = router.fit(made()).predict(fresh.texts).cost
    assert np.abs(foretold / fresh.cost - 1).mean() < 0.1
    assert foretold.mean(axis=0) == pytest.approx(fresh.cost.mean(axis=0), rel=0.1)


def test_a_router_comes_back_from_its_folder(router: Router, tmp_path: Path) -> None:
    router.fit(made()).save(tmp_path / "kept")
    again = load_router(tmp_path / "kept")
    texts = made(20, seed=2).texts
    assert type(again) is type(router)
    np.testing.assert_allclose(again.predict(texts).quality, router.predict(texts).quality, atol=1e-6)
    np.testing.assert_allclose(again.predict(texts).cost, router.predict(texts).cost)
    assert again.models_ == MODELS
    assert not list((tmp_path / "kept").glob("*.p*k*"))


def test_the_vectors_may_be_there_already(router: Router) -> None:
    router.fit(made())
    texts = made(9, seed=2).texts
    whole = router.predict(texts)
    apart = router.predict_from(router.vectors(texts), texts)
    np.testing.assert_array_equal(whole.quality, apart.quality)
    assert router.predict([]).quality.shape == (0, 3)


def test_a_model_that_was_always_right_is_foretold_so(router: Router) -> None:
    outcomes = made(80)
    outcomes.quality[:, 2] = 1.0
    assert router.fit(outcomes).predict(made(20, seed=2).texts).quality[:, 2].min() > 0.9


def test_trees_walk_as_scikit_learn_does() -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    outcomes = made(200)
    router = BoostedRouter(rounds=30).fit(outcomes)
    x = router.vectors(outcomes.texts)
    theirs = HistGradientBoostingRegressor(
        max_iter=30,
        learning_rate=router.rate,
        max_leaf_nodes=router.leaves,
        min_samples_leaf=5,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=0,
    ).fit(x, outcomes.quality[:, 0])
    fresh = router.vectors(made(50, seed=3).texts)
    np.testing.assert_allclose(router._predict(fresh)[:, 0], theirs.predict(fresh), atol=1e-9)


def test_a_tuned_encoder_learns_what_its_vectors_did_not_tell(tiny_encoder: Encoder, tmp_path: Path) -> None:
    outcomes = made(200)
    before = tiny_encoder.encode(outcomes.texts[:3])
    router = TunedRouter(EncoderFeatures(tiny_encoder), epochs=4, rate=3e-3).fit(outcomes)
    np.testing.assert_array_equal(tiny_encoder.encode(outcomes.texts[:3]), before)  # its own weights stay
    assert gain(router, made(seed=1)) > 0.25
    holes = TunedRouter(EncoderFeatures(tiny_encoder), epochs=2, rate=3e-3).fit(made(200, missing=0.4))
    assert gain(holes, made(seed=1)) > 0.2
    router.save(tmp_path / "first")
    shutil.move(tmp_path / "first", tmp_path / "moved")
    again = load_router(tmp_path / "moved")
    texts = made(20, seed=2).texts
    np.testing.assert_allclose(again.predict(texts).quality, router.predict(texts).quality, atol=1e-5)
    same = TunedRouter(EncoderFeatures(tiny_encoder), epochs=4, rate=3e-3).fit(outcomes)
    np.testing.assert_allclose(same.predict(texts).quality, router.predict(texts).quality, atol=1e-5)
    with pytest.raises(ConfigError, match="takes an encoder"):
        TunedRouter(TfidfFeatures()).fit(outcomes)


def test_a_new_model_is_learned_from_few_answers_by_what_the_others_showed() -> None:
    outcomes = made(400)
    known = Outcomes(outcomes.texts, MODELS, outcomes.quality, outcomes.cost)
    router = FactorRouter(factors=2).fit(known)
    few = made(24, seed=5)
    router.learn("second poet", few.texts, few.quality[:, 0], cost=0.002)
    fresh = made(200, seed=6)
    found = router.predict(fresh.texts)
    assert found.models == (*MODELS, "second poet")
    sums = np.array([text.startswith("Compute") for text in fresh.texts])
    assert found.quality[~sums, 3].mean() > found.quality[sums, 3].mean() + 0.3
    assert found.cost[:, 3] == pytest.approx(0.002)
    with pytest.raises(DataError, match="known already"):
        router.learn("poet", few.texts, few.quality[:, 0])


def test_wrong_settings_and_data_are_told(tmp_path: Path) -> None:
    for make in (lambda: KnnRouter(k=0), lambda: LinearRouter(c=0), lambda: FactorRouter(factors=0)):
        with pytest.raises(ConfigError):
            make()
    with pytest.raises(DataError, match="there are none"):
        LinearRouter().fit(made(5).take([]))
    holes = made(5)
    holes.quality[:, 1] = np.nan
    with pytest.raises(DataError, match="no row tells the quality of clerk"):
        LinearRouter().fit(holes)
    with pytest.raises(ConfigError, match="takes an encoder's or static vectors, not tfidf"):
        KnnRouter(TfidfFeatures()).fit(made(20))
    with pytest.raises(ModelError, match="not a saved router"):
        load_router(tmp_path)
    LinearRouter().fit(made(40)).save(tmp_path)
    facts = json.loads((tmp_path / "router.json").read_text())
    (tmp_path / "router.json").write_text(json.dumps(facts | {"kind": "oracle"}))
    with pytest.raises(ModelError, match="unknown kind 'oracle'"):
        load_router(tmp_path)
