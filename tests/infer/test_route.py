"""The routing model: one model is asked, conversations stay, streams pass through, decisions are told."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("sklearn")

from pilotfish import ask
from pilotfish.errors import ConfigError
from pilotfish.infer.route import Route
from pilotfish.infer.routing import LinearRouter, Router, Trade
from pilotfish.model import Delta, Request
from pilotfish.models.classify.features import TfidfFeatures
from tests.fakes import ScriptedModel
from tests.infer.routing.help import made

POEM, SUM = "A rhyme on moon river", "Compute 12 + 30"


@pytest.fixture(scope="module")
def router() -> Router:
    return LinearRouter(TfidfFeatures()).fit(made())


def route(router: Router, sticky: int = 10_000) -> tuple[Route, dict[str, ScriptedModel]]:
    models = {name: ScriptedModel(f"{name} says so", name=name) for name in ("poet", "clerk")}
    return Route(models, router, Trade(), sticky=sticky), models


def test_one_model_is_asked_and_the_decision_is_told(router: Router) -> None:
    both, models = route(router)
    reply = ask(both, SUM)
    assert reply.text == "clerk says so"
    assert (models["poet"].calls, models["clerk"].calls) == (0, 1)
    [decision] = reply.trace.decisions
    assert (decision.model, decision.verdict) == ("route", "chose clerk")
    assert decision.score is not None
    assert 0.5 < decision.score <= 1


def test_a_stream_passes_through(router: Router) -> None:
    both, _ = route(router)

    async def collect() -> list[Delta]:
        return [delta async for delta in both.stream(Request.of(POEM))]

    deltas = asyncio.run(collect())
    assert "".join(delta.text for delta in deltas) == "poet says so"
    assert len(deltas) > 2
    assert deltas[-1].reply is not None
    assert deltas[-1].reply.trace.decisions[-1].verdict == "chose poet"


def test_a_conversation_stays_where_it_began(router: Router) -> None:
    both, _ = route(router)
    start = [{"role": "user", "content": POEM}]
    assert ask(both, start).text == "poet says so"
    later = [*start, {"role": "assistant", "content": "…"}, {"role": "user", "content": SUM}]
    reply = ask(both, later)
    assert reply.text == "poet says so"
    assert reply.trace.decisions[-1].verdict == "kept poet"
    given = [ask(both, text, metadata={"conversation": 7}).text for text in (SUM, POEM)]
    assert given == ["clerk says so"] * 2
    anew, _ = route(router, sticky=0)
    assert ask(anew, later).text == "clerk says so"


def test_only_the_latest_conversations_are_remembered(router: Router) -> None:
    both, _ = route(router, sticky=2)
    for number in range(5):
        ask(both, SUM, metadata={"conversation": number})
    assert list(both._kept) == ["given:3", "given:4"]


def test_models_that_the_router_does_not_know_are_refused(router: Router) -> None:
    with pytest.raises(ConfigError, match="has not learned 'poets'; did you mean 'poet'"):
        Route({"poets": ScriptedModel()}, router, Trade())
    with pytest.raises(ConfigError, match="needs models"):
        Route({}, router, Trade())
