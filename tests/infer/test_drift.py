"""Drift: alarms as often as they say without it, soon with it; the tests against scipy's."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import numpy as np
import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError
from pilotfish.infer import Above, Cascade
from pilotfish.infer.drift import Watch, _fisher, _kolmogorov
from pilotfish.infer.watched import Watched
from pilotfish.measure.checks import Verdict
from pilotfish.model import Reply, Request
from tests.fakes import ScriptedModel


def test_false_alarms_are_as_rare_as_they_say() -> None:
    rng = np.random.default_rng(0)
    alarms = []
    for _ in range(400):
        watch = Watch(rng.normal(size=300), -1.0, window=100, alarm=0.05)
        alarms.append(watch.judge(rng.normal(size=100)).alarmed)
    assert np.mean(alarms) <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


@pytest.mark.parametrize(("shift", "scale"), [(-0.6, 1.0), (0.0, 2.0)])
def test_a_change_is_seen_within_a_window_or_two(shift: float, scale: float) -> None:
    rng = np.random.default_rng(1)
    watch = Watch(rng.normal(size=1000), -1.0, window=200)
    for score in rng.normal(size=200):
        watch.saw(float(score))
    assert not watch.alarmed
    for score in rng.normal(shift, scale, size=400):
        watch.saw(float(score))
    assert watch.alarmed
    assert watch.last is not None
    assert watch.last.deferred > watch.last.expected
    for score in rng.normal(size=200):
        watch.saw(float(score))
    assert not watch.alarmed  # it is over


def test_the_two_tests_are_scipy_s() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(2)
    for n, m in ((60, 40), (300, 500)):
        a, b = rng.normal(size=n), rng.normal(0.2, 1, size=m)
        whole = Watch(a, 0.0, window=m, alarm=0.5).judge(b)
        found = stats.ks_2samp(a, b, method="exact")
        assert whole.distance == pytest.approx(found.statistic)
        assert _kolmogorov(whole.distance, n, m) == pytest.approx(found.pvalue, abs=0.02)
        counts = int((a < 0).sum()), int((b < 0).sum())
        table = [[counts[0], n - counts[0]], [counts[1], m - counts[1]]]
        assert _fisher(counts, (n, m)) == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-6)
    assert _kolmogorov(0.0, 10, 10) == 1.0


def judged(watched: Watched, score: float) -> Verdict:
    found = watched(Request.of("?"), Reply("x", logprobs=()).with_(finish_reason=str(score)))
    assert isinstance(found, Verdict)
    return found


def by_reason(request: Request, reply: Reply) -> Verdict:
    score = float(reply.finish_reason)
    return Verdict(score >= -1.0, score)


def test_drift_may_send_everything_on_until_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    reference = np.linspace(-2, 0, 200)
    watched = Watched(by_reason, Watch(reference, -1.0, window=50), "defer", "assistant")
    with caplog.at_level(logging.WARNING, "pilotfish.infer"):
        for _ in range(50):
            assert judged(watched, -0.01).accepted
        assert not judged(watched, -0.01).accepted  # the window before this reply was an alarm
    assert "assistant: scores have drifted: 0% below the threshold, 50% when it was calibrated" in caplog.text
    assert "all goes to the next model" in caplog.text
    for score in np.linspace(-2, 0, 49):
        judged(watched, float(score))
    assert judged(watched, 0.0).accepted
    told = Watched(by_reason, Watch(reference, -1.0, window=50), "tell")
    assert all(judged(told, -0.01).accepted for _ in range(120))


def test_a_cascade_takes_it_and_async_ways_too() -> None:
    async def later(request: Request, reply: Reply) -> Verdict:
        return Verdict(True, 0.5)

    watch = Watch([0.5] * 20, 0.1, window=20)
    assert asyncio.run(_awaited(Watched(later, watch))).accepted
    small, large = ScriptedModel("sure", logprob=-0.1, name="small"), ScriptedModel("large", name="large")
    both = Cascade(small, large, Watched(Above("mean-logprob", -1), Watch([-0.1] * 20, -1, window=20)))
    assert ask(both, "?").text == "sure"


async def _awaited(watched: Watched) -> Verdict:
    verdict = watched(Request.of("?"), Reply("x"))
    assert not isinstance(verdict, Verdict)
    return await verdict


def test_settings_that_make_no_sense_are_told() -> None:
    wrong: list[dict[str, Any]] = [{"reference": []}, {"window": 3}, {"alarm": 0.0}]
    plain: dict[str, Any] = {"reference": [0.1], "above": 0.0}
    for settings in wrong:
        with pytest.raises(ConfigError):
            Watch(**(plain | settings))
