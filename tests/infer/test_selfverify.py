"""Self-verification: the share or the probability of Yes, and that looks are paid for."""

from __future__ import annotations

import asyncio
import math

import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError
from pilotfish.infer import Cascade, SelfVerification
from pilotfish.model import Message, Reply, Request, TokenLogprob
from tests.fakes import ScriptedModel


def test_the_share_of_looks_that_say_yes_is_the_score() -> None:
    model = ScriptedModel(["Yes", "No", "yes.", "I cannot tell", "Not correct"], name="small")
    verdict = asyncio.run(SelfVerification(model, 0.5, samples=5)(Request.of("2 + 2?"), Reply("4")))
    assert verdict.score == pytest.approx(0.4)
    assert not verdict.accepted
    assert len(verdict.trace.calls) == 5
    asked = model.requests[0]
    assert "Task: 2 + 2?\nAnswer: 4\n" in asked.prompt
    assert asked.temperature == 0.7


def test_one_look_is_the_probability_of_yes_against_no() -> None:
    top = ((" Yes", math.log(0.3)), ("no", math.log(0.1)), ("Maybe", math.log(0.6)))
    said = Reply("Yes", logprobs=(TokenLogprob(" Yes", math.log(0.3), top),))
    verdict = asyncio.run(SelfVerification(ScriptedModel([said]), 0.7)(Request.of("?"), Reply("x")))
    assert verdict.score == pytest.approx(0.75)
    assert verdict.accepted


def test_where_no_probability_is_given_the_text_decides() -> None:
    for text, accepted in (("Yes", True), ("No", False), ("That is correct", True), ("incorrect", False), ("", False)):
        verdict = asyncio.run(SelfVerification(ScriptedModel([text]), 0.5)(Request.of("?"), Reply("x")))
        assert verdict.accepted is accepted, text


def test_braces_in_tasks_and_answers_stay_as_they_are_and_a_conversation_is_shown_whole() -> None:
    model = ScriptedModel("Yes")
    request = Request((Message("system", "Be {brief}"), Message("user", "Say {answer}")))
    asyncio.run(SelfVerification(model, 0.5)(request, Reply("{x}")))
    assert "system: Be {brief}\nuser: Say " in model.requests[0].prompt
    assert "Answer: {x}\n" in model.requests[0].prompt


def test_a_cascade_defers_what_the_model_itself_doubts() -> None:
    small = ScriptedModel({"?": "a guess", "*": "No"}, name="small")
    both = Cascade(small, ScriptedModel("known", name="large"), SelfVerification(small, 0.5))
    reply = ask(both, "?")
    assert reply.text == "known"
    assert [call.model for call in reply.trace.calls] == ["small", "small", "large"]


def test_wrong_settings_are_said_at_construction() -> None:
    with pytest.raises(ConfigError, match="places"):
        SelfVerification(ScriptedModel(), 0.5, prompt="Is it right?")
    with pytest.raises(ConfigError, match="one sample"):
        SelfVerification(ScriptedModel(), 0.5, samples=0)
