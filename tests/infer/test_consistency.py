"""Agreement of samples: who is trusted, with which reply, and that every sample is paid for."""

from __future__ import annotations

import asyncio

import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError
from pilotfish.infer import Agreement, Cascade, Verdict
from pilotfish.measure.answers import answer_by
from pilotfish.model import Price, Reply, Request
from tests.fakes import ScriptedModel


def judged(first: str, *others: str, above: float = 0.5, answer: str = "text") -> Verdict:
    model = ScriptedModel(list(others), name="small", price=Price(1, 1))
    agreement = Agreement(model, above, samples=1 + len(others), answer=answer)
    return asyncio.run(agreement(Request.of("?"), Reply(first)))


def test_the_majority_is_trusted_and_its_first_sample_is_the_reply() -> None:
    verdict = judged("Paris", "Lyon.", "lyon", " LYON ", above=0.75)
    assert verdict.accepted
    assert verdict.score == 0.75
    assert verdict.reply is not None
    assert verdict.reply.text == "Lyon."
    assert len(verdict.trace.calls) == 3
    assert not judged("a", "b", "c", "c", above=0.6).accepted


def test_of_equal_votes_the_first_answer_counts() -> None:
    verdict = judged("b", "a", "a", "b")
    assert verdict.score == 0.5
    assert verdict.reply is not None
    assert verdict.reply.text == "b"


def test_answers_are_read_out_of_reasoning() -> None:
    verdict = judged("6 x 7 = 42", "so 40 + 2 makes 42.0", "It is 1,042", answer="last-number")
    assert verdict.score == pytest.approx(2 / 3)
    assert answer_by("last-line")("First.\n\nThen: yes.\n") == "then: yes"
    assert answer_by(r"answer is (\w+)")("The answer is A, no, the answer is B") == "b"
    assert answer_by("last-number")("none") == ""


def test_samples_without_an_answer_agree_with_nothing() -> None:
    assert judged("no number", "none", "nor here", answer="last-number").score == 0.0
    assert judged("7", "none", "nor here", answer="last-number").score == pytest.approx(1 / 3)


def test_a_cascade_pays_every_sample_and_samples_differ() -> None:
    small = ScriptedModel("yes", name="small", price=Price(1, 1))
    large = ScriptedModel("no", name="large", price=Price(10, 10))
    both = Cascade(small, large, Agreement(small, 0.9, samples=4))
    reply = ask(both, "Is it?", seed=5)
    assert reply.text == "yes"
    assert [call.model for call in reply.trace.calls] == ["small"] * 4
    assert large.calls == 0
    further = small.requests[1:]
    assert [one.seed for one in further] == [6, 7, 8]
    assert [one.metadata["sample"] for one in further] == [1, 2, 3]
    assert {one.temperature for one in further} == {0.7}


def test_wrong_settings_are_said_at_construction() -> None:
    model = ScriptedModel()
    with pytest.raises(ConfigError, match="two samples"):
        Agreement(model, 0.5, samples=1)
    with pytest.raises(ConfigError, match="did you mean 'last-number'"):
        Agreement(model, 0.5, answer="last-numbr")
    with pytest.raises(ConfigError, match="nor a pattern"):
        Agreement(model, 0.5, answer="(")
