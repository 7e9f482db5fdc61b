"""The deferral head: learns what log-probabilities and prompts tell, comes back from its files, accepts replies."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from numpy.typing import NDArray

from pilotfish import ask
from pilotfish.errors import DataError, ModelError
from pilotfish.infer import Cascade
from pilotfish.infer.deferral_head import DeferralHead, Learned
from pilotfish.infer.signals import SIGNALS, signals
from pilotfish.model import Reply, Request, TokenLogprob
from tests.fakes import ScriptedModel


def rows(count: int, seed: int) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Right replies are surer at their least sure token; prompts with sums are harder."""
    rng = np.random.default_rng(seed)
    texts, shown, grades = [], [], []
    for _ in range(count):
        hard, sure = rng.random() < 0.5, rng.normal()
        right = sure - hard > -0.5 + rng.normal(0, 0.3)
        lowest = -3.0 + sure
        tokens = tuple(TokenLogprob("a", min(0.0, at)) for at in (-0.1, lowest, -0.2))
        texts.append("Compute 12 + 30 * 4" if hard else "Say hello to the moon")
        shown.append(signals(tokens))
        grades.append(float(right))
    return texts, np.array(shown), np.array(grades)


def test_signals_are_what_their_names_say() -> None:
    top = (("a", math.log(0.7)), ("b", math.log(0.2)))
    said = dict(zip(SIGNALS, signals((TokenLogprob("a", -0.5, top), TokenLogprob("b", -1.5))), strict=True))
    assert said["log tokens"] == pytest.approx(math.log(3))
    assert (said["mean"], said["lowest"], said["first"], said["sum"]) == (-1.0, -1.5, -0.5, -2.0)
    assert said["median"] == -1.0
    assert said["least margin"] == pytest.approx(0.5)
    assert signals(()) == [0.0] * len(SIGNALS)
    assert all(math.isfinite(value) for value in signals((TokenLogprob("a", -math.inf),)))


def test_it_learns_from_both_and_ranks_fresh_rows() -> None:
    head = DeferralHead().fit(*rows(600, 0))
    texts, shown, grades = rows(600, 1)
    found = head.predict(texts, shown)
    right, wrong = found[grades == 1], found[grades == 0]
    assert (right[:, None] > wrong[None, :]).mean() > 0.85  # AUROC; the lowest log-probability alone has 0.8
    assert found.mean() == pytest.approx(grades.mean(), abs=0.06)
    graded = DeferralHead().fit(texts, shown, grades * 0.5 + 0.25).predict(texts, shown)
    assert graded.mean() == pytest.approx((grades * 0.5 + 0.25).mean(), abs=0.01)


def test_it_comes_back_from_its_folder(tmp_path: Path) -> None:
    head = DeferralHead().fit(*rows(100, 0))
    head.save(tmp_path)
    texts, shown, _ = rows(20, 2)
    np.testing.assert_allclose(DeferralHead.load(tmp_path).predict(texts, shown), head.predict(texts, shown))
    with pytest.raises(ModelError, match="not a saved deferral head"):
        DeferralHead.load(tmp_path / "none")
    with pytest.raises(DataError, match="different grades"):
        DeferralHead().fit(texts, shown, np.ones(20))


def test_a_cascade_defers_by_it() -> None:
    head = DeferralHead().fit(*rows(400, 0))
    for logprob, said in ((-0.05, "small"), (-6.0, "large")):
        small = ScriptedModel("small", name="small", logprob=logprob)
        both = Cascade(small, ScriptedModel("large", name="large"), Learned(head, 0.5))
        assert ask(both, "Say hello to the moon").text == said
    with pytest.raises(ModelError, match="has none"):
        Learned(head, 0.5)(Request.of("?"), Reply("x"))
