"""A cascade and a route out of answers that are there."""

from __future__ import annotations

import numpy as np
import pytest

from pilotfish.compete.advisor.both import cascaded, routed
from pilotfish.compete.advisor.desk import Answers
from pilotfish.infer.routing import Trade
from pilotfish.infer.signals import SIGNALS


def answers(marks: list[float], means: list[float] | None) -> Answers:
    n = len(marks)
    signals = None
    if means is not None:
        signals = np.zeros((n, len(SIGNALS)))
        signals[:, SIGNALS.index("mean")] = means
    return Answers(np.arange(n), ["x"] * n, np.array(marks), signals, np.zeros(n))


def test_the_threshold_is_between_the_sure_and_the_unsure() -> None:
    small = answers([1, 1, 1, 0, 0], [-0.1, -0.2, -0.3, -1.0, -2.0])
    found = cascaded(small, answers([1, 0, 1, 1, 1], None), ("small", "large"))
    assert found is not None and found.mean == 1.0 and found.share == 0.4
    assert found.table["accept"] == {"score": "mean-logprob", "above": pytest.approx(-0.65)}
    assert small.signals is not None
    assert found.large(["q"] * 5, small.signals).tolist() == [False, False, False, True, True]


def test_a_cascade_that_gains_nothing_defers_nothing_and_one_without_scores_is_none() -> None:
    small = answers([1, 1, 1, 1], [-0.1, -0.2, -0.3, -0.4])
    found = cascaded(small, answers([0, 0, 0, 1], None), ("small", "large"))
    assert found is not None and found.share == 0 and found.table["accept"]["above"] < -1e6
    assert cascaded(answers([1], None), answers([1], None), ("a", "b")) is None
    flat = cascaded(answers([1, 0], [-1.0, -1.0]), answers([1, 1], None), ("a", "b"))
    assert flat is None


def test_a_route_learns_which_prompts_the_small_model_fails() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(120) < 0.5
    texts = [f"{'prove the theorem about' if one else 'say hello to'} number {i}" for i, one in enumerate(hard)]
    small, large = answers((~hard).astype(float).tolist(), None), answers([1.0] * 120, None)
    found = routed(texts, small, large, ("small", "large"), (0.001, 0.01))
    assert found is not None
    chooser, router = found
    assert chooser.mean == 1.0 and 0.3 < chooser.share < 0.7 and not chooser.after
    more = ["prove the theorem about cats", "say hello to cats"]
    assert chooser.large(more, None).tolist() == [True, False]
    # What is measured is what the table's own rule makes of the saved router.
    told = router.predict(more)
    assert Trade(chooser.table["choose"]["price"]).choose(told.quality, told.cost).tolist() == [1, 0]
    assert routed(texts[:20], small, large, ("small", "large"), (0.001, 0.01)) is None
    assert routed(texts, small, large, ("small", "large"), (0.01, 0.01)) is None
