"""Scopes: each score is its formula, the threshold keeps what it promises, and a cascade defers what is outside."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish._sync import ask
from pilotfish.assemble import Collaboration
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.infer import InScope
from pilotfish.model import Call, Reply, Request, TokenLogprob, Trace
from pilotfish.models.classify import ClassifierModel, Scope, SoftmaxHead, TextClassifier, TfidfFeatures
from pilotfish.models.classify.scope import Way, lower_bound

pytest.importorskip("sklearn")

WAYS: tuple[Way, ...] = ("probability", "energy", "mahalanobis", "neighbours")


def made(count: int = 60, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    random = np.random.default_rng(seed)
    centres = np.array([[3.0, 0, 0, 0], [0, 3.0, 0, 0], [0, 0, 3.0, 0]])
    codes = np.arange(count) % 3
    return centres[codes] + random.normal(size=(count, 4)), [f"c{i}" for i in codes]


@pytest.fixture(scope="module")
def head() -> SoftmaxHead:
    x, y = made()
    return SoftmaxHead(c=1.0).fit(x, y)


def test_each_score_is_its_formula(head: SoftmaxHead) -> None:
    x, y = made()
    tested = made(40, 1)[0]
    head.temperature_ = 2.0
    logits = tested @ head.coef_.T + head.intercept_
    scores = {way: Scope(way, neighbours=4).fit(x, y).scores(tested, head) for way in WAYS}
    np.testing.assert_allclose(scores["energy"], np.log(np.exp(logits).sum(axis=1)))
    shares = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores["probability"], shares.max(axis=1))
    unit, known = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (tested, x))
    apart = np.sort(np.linalg.norm(unit[:, None] - known[None], axis=2), axis=1)[:, 3]
    # Of unit vectors: distance^2 = 2 - 2 cos.
    np.testing.assert_allclose(2 - 2 * scores["neighbours"], apart**2, atol=1e-5)
    from sklearn.covariance import ledoit_wolf

    means = np.stack([x[np.array(y) == label].mean(axis=0) for label in sorted(set(y))])
    within = x - means[[sorted(set(y)).index(label) for label in y]]
    precision = np.linalg.inv(ledoit_wolf(within, assume_centered=True)[0])
    gaps = tested[:, None] - means[None]
    squared = np.einsum("rcd,de,rce->rc", gaps, precision, gaps).min(axis=1)
    np.testing.assert_allclose(-scores["mahalanobis"], squared, rtol=1e-6)
    head.temperature_ = 1.0


@pytest.mark.parametrize("way", WAYS)
def test_texts_far_away_are_outside_and_a_stated_share_is_kept(way: Any, head: SoftmaxHead) -> None:
    x, y = made(300)
    scope = Scope(way, recall=0.9).fit(x, y)
    scope.calibrate(scope.scores(made(300, 1)[0], head))
    inside = scope.inside(scope.scores(made(600, 2)[0], head))
    assert 0.84 < inside.mean() < 0.96  # the expected share is .9 to .903
    if way in ("mahalanobis", "neighbours"):
        assert scope.inside(scope.scores(np.full((5, 4), -4.0), head)).sum() == 0


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60), st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]))
def test_the_threshold_loses_no_more_than_it_may(scores: list[float], share: float) -> None:
    values = np.array(scores)
    k = math.floor((len(values) + 1) * (1 - share) + 1e-9)
    if k < 1:
        with pytest.raises(DataError, match=rf"needs {math.ceil(1 / (1 - share) - 1 - 1e-9)} rows"):
            lower_bound(values, share)
        return
    threshold = lower_bound(values, share)
    assert (values < threshold).sum() <= k - 1
    assert (values <= threshold).sum() >= k


def test_the_least_rows_that_are_named_do() -> None:
    for share in (0.5, 0.9, 0.95, 0.99, 0.999):
        least = math.ceil(1 / (1 - share) - 1 - 1e-9)
        assert np.isfinite(lower_bound(np.arange(float(least)), share))
        with pytest.raises(DataError, match="rows kept back or more"):
            lower_bound(np.arange(float(least - 1)), share)


def test_tf_idf_has_no_neighbours() -> None:
    classifier = TextClassifier(TfidfFeatures()).fit(["a b", "c d"], ["x", "y"])
    with pytest.raises(ConfigError, match="needs dense features"):
        classifier.fit_scope(["a b", "c d"], ["x", "y"], ["a"] * 30, "neighbours")


@pytest.mark.parametrize(("way", "recall", "k"), [("magic", 0.9, 5), ("energy", 1.0, 5), ("neighbours", 0.9, 0)])
def test_settings_out_of_range(way: Any, recall: float, k: int) -> None:
    with pytest.raises(ConfigError):
        Scope(way, recall=recall, neighbours=k)


TEXTS = ["my card is late", "where is the card", "a refund please", "refund the money"] * 6
LABELS = ["card", "card", "refund", "refund"] * 6


@pytest.fixture
def classifier(tiny_encoder: Any) -> TextClassifier:
    from pilotfish.models.classify import EncoderFeatures

    made = TextClassifier(EncoderFeatures(tiny_encoder)).fit(TEXTS, LABELS)
    return made.fit_scope(TEXTS, LABELS, TEXTS, "neighbours", recall=0.9, neighbours=1)


OUT = "exchange rate wrong wrong"


def test_it_is_saved_with_the_classifier(tmp_path: Path, classifier: TextClassifier) -> None:
    classifier.save(tmp_path)
    again = TextClassifier.load(tmp_path)
    assert again.scope is not None and classifier.scope is not None
    assert (again.scope.way, again.scope.rows_) == ("neighbours", len(TEXTS))
    np.testing.assert_allclose(again.scope.threshold_, classifier.scope.threshold_)
    np.testing.assert_allclose(again.judged([OUT])[1], classifier.judged([OUT])[1], atol=1e-6)  # type: ignore[arg-type]
    classifier.scope = None
    classifier.save(tmp_path)
    assert TextClassifier.load(tmp_path).scope is None  # nothing of the older one stays


def test_a_damaged_scope_is_one_line(tmp_path: Path, classifier: TextClassifier) -> None:
    classifier.save(tmp_path)
    (tmp_path / "scope.json").write_text('{"format": 1, "way": "mahalanobis", "recall": 0.9, "neighbours": 1, '
                                         '"threshold": 0.0, "rows": 2}')  # fmt: skip
    with pytest.raises(ModelError, match="not a saved scope"):
        TextClassifier.load(tmp_path)


def test_the_model_says_what_is_outside_and_why(classifier: TextClassifier) -> None:
    inside, outside = (ask(ClassifierModel(classifier, "small"), text) for text in (TEXTS[0], OUT))
    assert inside.text == "card" and inside.finish_reason == "stop"
    assert outside.text == "out of scope" and outside.finish_reason == "out_of_scope"
    assert classifier.scope is not None
    for reply, verdict in ((inside, "in scope"), (outside, "out of scope")):
        (decision,) = reply.trace.decisions
        assert (decision.model, decision.verdict) == ("small", verdict)
        assert decision.threshold == classifier.scope.threshold_ and decision.score is not None
        assert (decision.score >= decision.threshold) == (verdict == "in scope")
        assert reply.logprobs is not None and len(reply.logprobs[0].top) == 2
    assert ask(ClassifierModel(classifier, outside=None), OUT).text in ("card", "refund")
    assert not ask(ClassifierModel(classifier, scoped=False), OUT).trace.decisions
    assert ask(ClassifierModel(classifier, above=-2.0), OUT).trace.decisions[0].verdict == "in scope"


def test_a_cascade_defers_what_is_outside(tmp_path: Path, classifier: TextClassifier) -> None:
    classifier.save(tmp_path / "model")
    (tmp_path / "said.jsonl").write_text(json.dumps({"prompt": OUT, "reply": "rate"}) + "\n")
    (tmp_path / "team.toml").write_text(
        '[models.small]\nuse = "classifier"\npath = "model"\n'
        '[models.large]\nuse = "recorded"\npath = "said.jsonl"\n'
        '[models.assistant]\nuse = "cascade"\nsmall = "small"\nlarge = "large"\naccept = { by = "scope" }\n'
    )
    model = Collaboration.load(tmp_path / "team.toml").model()
    kept, deferred = ask(model, TEXTS[0]), ask(model, OUT)
    assert kept.text == "card" and len(kept.trace.calls) == 1
    assert deferred.text == "rate" and len(deferred.trace.calls) == 2
    assert [one.verdict for one in deferred.trace.decisions][:2] == ["out of scope", "deferred"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('out_of_scope = "none of these"', "none of these"),
        ("out_of_scope = { answer = false }", None),
        ("out_of_scope = { above = -2.0 }", None),
        ("out_of_scope = false", None),
    ],
)
def test_the_file_says_what_is_answered(
    tmp_path: Path, classifier: TextClassifier, line: str, text: str | None
) -> None:
    classifier.save(tmp_path / "model")
    (tmp_path / "one.toml").write_text(f'[models.small]\nuse = "classifier"\npath = "model"\n{line}\n')
    said = ask(Collaboration.load(tmp_path / "one.toml").model("small"), OUT)
    assert said.text == text if text else said.text in ("card", "refund")


def test_a_classifier_without_a_scope_is_told_so(tmp_path: Path, classifier: TextClassifier) -> None:
    classifier.scope = None
    classifier.save(tmp_path / "model")
    (tmp_path / "one.toml").write_text('[models.small]\nuse = "classifier"\npath = "model"\nout_of_scope = "no"\n')
    with pytest.raises(ConfigError, match="does not know its scope"):
        Collaboration.load(tmp_path / "one.toml").model("small")
    with pytest.raises(ModelError, match="does not say what is in its scope"):
        InScope()(Request.of("x"), ask(ClassifierModel(classifier), TEXTS[0]))


def test_a_reply_in_scope_may_still_be_unsure() -> None:
    sure = Reply("card", logprobs=(TokenLogprob("card", math.log(0.6)),), trace=Trace((Call("m"),)))
    inside, outside = sure.decided("m", "in scope", 1.0, 0.5), sure.decided("m", "out of scope", 0.1, 0.5)
    request = Request.of("x")
    assert InScope()(request, inside).accepted and not InScope()(request, outside).accepted
    assert InScope(0.5)(request, inside).accepted and not InScope(0.7)(request, inside).accepted
    assert InScope(0.5)(request, inside).score == pytest.approx(0.6)
    assert InScope(0.5)(request, outside).score == 0.0
    # The last one to say it counts: a cascade's second classifier may know more.
    assert InScope()(request, outside.decided("n", "in scope", 1.0, 0.5)).accepted
