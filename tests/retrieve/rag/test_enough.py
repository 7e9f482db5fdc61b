from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Reply, Request, TokenLogprob
from pilotfish.retrieve.found import Hit, Passage
from pilotfish.retrieve.rag.enough import EnoughByChoice, EnoughByScore, threshold_of
from tests.fakes import ScriptedModel


def hits(*scores: float) -> list[Hit]:
    return [Hit(Passage(str(i), f"text {i}"), score, {"dense": score / 10}) for i, score in enumerate(scores)]


def test_the_best_score_decides() -> None:
    look = EnoughByScore(0.5)
    assert look(Request.of("q"), hits(0.7, 0.1)).accepted
    told = look(Request.of("q"), hits(0.4, 0.45))
    assert not told.accepted and told.score == 0.45 and told.threshold == 0.5
    assert not look(Request.of("q"), []).accepted
    assert EnoughByScore(0.06, part="dense")(Request.of("q"), hits(0.7)).accepted
    assert not EnoughByScore(0.06, part="other")(Request.of("q"), hits(0.7)).accepted


def test_a_judge_looks_at_the_best_passages_at_once() -> None:
    def judge(request: Request) -> Reply:
        yes = 0.9 if "text 1" in request.prompt else 0.2
        top = (("yes", math.log(yes)), ("no", math.log(1 - yes)))
        return Reply("yes", logprobs=(TokenLogprob("yes", top[0][1], top),))

    model = ScriptedModel(judge, delay=0.01)
    verdict = asyncio.run(EnoughByChoice(model, 0.5, passages=2)(Request.of("q {passage}"), hits(3, 2, 1)))
    assert verdict.accepted and verdict.score == pytest.approx(0.9)
    assert model.calls == model.peak == 2
    assert "q {passage}" in model.requests[0].prompt  # a brace in a question is no place
    assert not asyncio.run(EnoughByChoice(model, 0.5, passages=1)(Request.of("q"), hits(3, 2))).accepted
    assert not asyncio.run(EnoughByChoice(model)(Request.of("q"), [])).accepted
    with pytest.raises(ConfigError, match="needs the place"):
        EnoughByChoice(model, prompt="Is it there?")


def test_a_threshold_keeps_its_promise_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    broken = 0
    for _ in range(400):
        found = threshold_of(random.normal(size=150), promise=0.1, confidence=0.9)
        # the share of all answerable questions below it, whose scores are normal
        broken += 0.5 * math.erfc(-found.above / math.sqrt(2)) > 0.1
    # By the ranks' own distribution: no more than a tenth of the draws, give or take four standard errors.
    assert broken / 400 <= 0.1 + 4 * math.sqrt(0.1 * 0.9 / 400)
    assert broken > 0  # it is no threshold that refuses nothing


def test_a_threshold_tells_what_it_refuses_and_lets_through() -> None:
    found = threshold_of(np.arange(100.0), np.array([-1.0, 50.0]), promise=0.1, confidence=0.9)
    assert found.refused.value == found.above / 100
    assert found.let_through is not None and found.let_through.value == 0.5
    assert threshold_of(np.arange(100.0)).let_through is None


def test_too_few_questions_promise_nothing() -> None:
    with pytest.raises(DataError, match=r"10 answerable questions cannot promise.*45 can"):
        threshold_of(np.arange(10.0), promise=0.05, confidence=0.9)
    threshold_of(np.arange(45.0), promise=0.05, confidence=0.9)
    with pytest.raises(DataError, match="not a number"):
        threshold_of([math.nan])
    with pytest.raises(ConfigError, match="between 0 and 1"):
        threshold_of([1.0], promise=2)
