"""The best of n: which answer is picked, what it costs, and what is refused."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Reply, Request
from pilotfish.models.best_of import BestOfN
from pilotfish.rows._describe import known_as
from tests.fakes import ScriptedModel


def longest(prompt: str, answers: list[str]) -> list[float]:
    return [float(len(one)) for one in answers]


def test_the_best_is_picked_and_all_are_paid_for() -> None:
    model = ScriptedModel(["a", "abcd", "abc", "wxyz"])
    best = BestOfN(model, longest, n=4)
    reply = asyncio.run(best.reply(Request.of("hm?", seed=7)))
    assert reply.text == "abcd"  # of equal ones the first
    assert reply.usage.calls == 4
    (decision,) = reply.trace.decisions
    assert (decision.verdict, decision.score) == ("best of 4", 4.0)
    assert [one.temperature for one in model.requests] == [1.0] * 4
    assert len({one.seed for one in model.requests}) == 4
    assert len({str(one.metadata["sample"]) for one in model.requests}) == 4


def test_cut_answers_are_left_out_unless_all_are() -> None:
    said = [Reply("abcdef", finish_reason="length"), Reply("ab")]
    assert ask(BestOfN(ScriptedModel(said), longest, n=2), "x").text == "ab"
    cut = [Reply("abcdef", finish_reason="length"), Reply("ab", finish_reason="length")]
    assert ask(BestOfN(ScriptedModel(cut), longest, n=2), "x").text == "abcdef"


def test_another_n_is_another_model() -> None:
    model = ScriptedModel("x")
    assert known_as(BestOfN(model, longest, n=2)) != known_as(BestOfN(model, longest, n=3))


def test_what_is_wrong_is_told() -> None:
    model = ScriptedModel("x")
    with pytest.raises(ConfigError, match="n is 1 or more"):
        BestOfN(model, longest, n=0)
    with pytest.raises(ConfigError, match="no reward"):
        BestOfN(model, object())
    with pytest.raises(ConfigError, match="asks for several"):
        asyncio.run(BestOfN(model, longest).reply(Request.of("x", n=2)))
    numbers = count()
    with pytest.raises(ModelError, match="the reward gave"):
        ask(BestOfN(model, lambda prompt, answers: [float("nan")] * (len(answers) + next(numbers))), "x")
