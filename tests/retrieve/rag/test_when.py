from __future__ import annotations

import asyncio
import math

import pytest

from pilotfish.errors import ConfigError, ModelError
from pilotfish.measure.checks import Verdict
from pilotfish.model import Reply, Request, TokenLogprob
from pilotfish.retrieve.rag.when import Label, Sure, probability_of
from tests.fakes import ScriptedModel


def said(retrieve: float) -> Reply:
    top = (("retrieve", math.log(retrieve)), ("answer", math.log(1 - retrieve)))
    return Reply("retrieve", logprobs=(TokenLogprob("retrieve", top[0][1], top),))


def test_a_classifier_of_questions_decides() -> None:
    model = ScriptedModel({"Who is he?": said(0.8), "2 + 2?": said(0.1)})
    look = asyncio.run(Label(model)(Request.of("Who is he?")))
    assert look.accepted and look.score == pytest.approx(0.8) and look.threshold == 0.5
    assert len(look.trace.calls) == 1
    assert not asyncio.run(Label(model)(Request.of("2 + 2?"))).accepted
    assert model.requests[0].logprobs


def test_a_label_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ModelError, match="knows no label 'search'; it has answer, retrieve"):
        asyncio.run(Label(ScriptedModel([said(0.5)]), "search")(Request.of("x")))
    with pytest.raises(ModelError, match="gave no probabilities"):
        probability_of(Reply("yes"), "yes", "small")
    with pytest.raises(ConfigError, match="above is a probability"):
        Label(ScriptedModel(), above=2)


def test_an_answer_that_is_trusted_is_kept_and_no_passage_is_looked_up() -> None:
    model = ScriptedModel("Paris", logprob=-0.1)

    def accept(request: Request, reply: Reply) -> Verdict:
        assert reply.mean_logprob is not None
        return Verdict(reply.mean_logprob > -1, reply.mean_logprob, threshold=-1)

    verdict = asyncio.run(Sure(model, accept)(Request.of("capital of France?")))
    assert not verdict.accepted and verdict.reply is not None and verdict.reply.text == "Paris"
    assert verdict.reply.logprobs is None  # they were not asked for
    unsure = ScriptedModel("Rome", logprob=-3.0)
    assert asyncio.run(Sure(unsure, accept)(Request.of("capital of France?"))).accepted
