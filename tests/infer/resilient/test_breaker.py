"""The circuit breaker: closed, open, half-open, and what each lets through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish import ask
from pilotfish.errors import ConfigError, ModelError, UpstreamError
from pilotfish.infer.resilient import Breaker, Fallback
from pilotfish.model import Decision, Request
from tests.asking import streamed
from tests.fakes import ScriptedModel

from .parts import ASKED, Clock, Piecewise, down

Said = str | Exception


def breaker(said: Callable[[], Said], clock: Clock, **settings: Any) -> tuple[Breaker, ScriptedModel]:
    def script(_: Request) -> Any:
        return said()

    model = ScriptedModel(script, name="far")
    return Breaker(model, **{"failures": 3, "window": 10, "rest": 5, "clock": clock, **settings}), model


def state(model: Breaker) -> str:
    """A plain text, so that a type checker does not think that it stays as it was asserted to be."""
    return model.state


def fails(model: Breaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(UpstreamError):
            ask(model, ASKED)


def test_it_opens_rests_and_closes_again() -> None:
    clock, said = Clock(), list[Said]()
    guarded, far = breaker(lambda: said[0], clock)
    said[:] = [down()]
    fails(guarded, 3)
    assert (guarded.state, far.calls) == ("open", 3)
    clock.now += 2
    with pytest.raises(UpstreamError, match="left alone for 3 s more") as caught:
        ask(guarded, ASKED)
    assert (caught.value.status, caught.value.retry_after, far.calls) == (503, 3, 3)
    clock.now += 3
    assert state(guarded) == "half-open"
    fails(guarded)  # the probe
    assert (guarded.state, far.calls) == ("open", 4)
    clock.now += 5
    said[:] = ["well again"]
    reply = ask(guarded, ASKED)
    assert reply.trace.decisions == (Decision("breaker", "closed again"),)
    assert state(guarded) == "closed"
    assert ask(guarded, ASKED).trace.decisions == ()
    said[:] = [down()]
    fails(guarded, 2)
    assert state(guarded) == "closed"  # the failures before the rest are forgotten


def test_failures_long_ago_do_not_count() -> None:
    clock = Clock()
    guarded, _ = breaker(down, clock)
    for _ in range(6):
        fails(guarded)
        clock.now += 6
    assert state(guarded) == "closed"


def test_a_small_share_of_failures_does_not_open_it() -> None:
    clock, count = Clock(), iter(range(10_000))
    guarded, _ = breaker(lambda: down() if next(count) % 10 == 9 else "well", clock)
    for _ in range(200):
        try:
            ask(guarded, ASKED)
        except UpstreamError as error:
            assert error.status == 500
        clock.now += 0.01
    assert state(guarded) == "closed"


@pytest.mark.parametrize("error", [down(400), down(422), ModelError("no such thing")])
def test_the_requests_own_fault_is_not_the_endpoints(error: Exception) -> None:
    guarded, _ = breaker(lambda: error, Clock())
    for _ in range(9):
        with pytest.raises(ModelError):
            ask(guarded, ASKED)
    assert state(guarded) == "closed"


@pytest.mark.parametrize("status", [None, 401, 408, 429, 500, 503, 504])
def test_what_counts_as_failure(status: int | None) -> None:
    guarded, _ = breaker(lambda: down(status), Clock())
    fails(guarded, 3)
    assert state(guarded) == "open"


def test_one_probe_at_a_time() -> None:
    clock = Clock()
    far = Piecewise(delay=0.05, name="far")
    guarded = Breaker(far, failures=1, rest=5, clock=clock)
    far.error = down()
    fails(guarded)
    far.error = None
    clock.now += 5

    async def run() -> list[Any]:
        return await asyncio.gather(*(guarded.reply(ASKED) for _ in range(5)), return_exceptions=True)

    results = asyncio.run(run())
    refused = [result for result in results if isinstance(result, UpstreamError)]
    assert len(refused) == 4
    assert "while one request tries it" in str(refused[0])
    assert far.begun == 2
    assert state(guarded) == "closed"


def test_a_cancelled_probe_leaves_the_next_to_try() -> None:
    clock = Clock()
    far = Piecewise(delay=30, name="far", error=down())
    guarded = Breaker(far, failures=1, rest=5, clock=clock)
    far.delay = 0
    fails(guarded)
    far.delay, far.error = 30, None
    clock.now += 5

    async def run() -> None:
        probe = asyncio.create_task(guarded.reply(ASKED))
        await asyncio.sleep(0.02)
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        assert state(guarded) == "half-open"
        far.delay = 0
        await guarded.reply(ASKED)

    asyncio.run(run())
    assert state(guarded) == "closed"


def test_streams_that_break_off_count_and_those_left_do_not() -> None:
    clock = Clock()
    far = Piecewise(("half ",), error=down(), name="far")
    guarded = Breaker(far, failures=2, rest=5, clock=clock)
    for _ in range(2):
        with pytest.raises(UpstreamError):
            streamed(guarded, ASKED)
    assert state(guarded) == "open"
    with pytest.raises(UpstreamError, match="left alone"):
        streamed(guarded, ASKED)
    clock.now += 5
    far.error, far.pause, far.pieces = None, 30, ("a ", "b")

    async def leave() -> None:
        stream = guarded.stream(ASKED)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(leave())
    assert state(guarded) == "half-open"
    far.pause = 0
    last = streamed(guarded, ASKED)[-1].reply
    assert last is not None
    assert last.trace.decisions[-1].verdict == "closed again"


def test_a_fallback_goes_past_an_open_breaker_at_once() -> None:
    clock = Clock()
    guarded, far = breaker(down, clock)
    model = Fallback([guarded, ScriptedModel("near", name="near")])
    for _ in range(5):
        assert ask(model, ASKED).text == "near"
    assert far.calls == 3
    assert "left alone" in ask(model, ASKED).trace.calls[0].why


def test_an_answer_opens_nothing() -> None:
    """The window has lost the answers before the failures, which are more than half of what is left."""
    clock = Clock()
    now = [True]
    guarded, far = breaker(lambda: "well" if now[0] else down(), clock)
    for well, pause in [(True, 0), (True, 0), (True, 0), (False, 1), (False, 0), (True, 1), (False, 4), (True, 4)]:
        clock.now += pause
        now[0] = well
        if well:
            assert ask(guarded, ASKED).text == "well"
        else:
            with pytest.raises(UpstreamError):
                ask(guarded, ASKED)
        assert state(guarded) == "closed"
    now[0] = False
    with pytest.raises(UpstreamError):
        ask(guarded, ASKED)
    assert state(guarded) == "open"
    assert far.calls == 9


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 4)), max_size=80))
def test_it_asks_an_ailing_model_once_a_rest_at_most(story: list[tuple[bool, float]]) -> None:
    clock = Clock()
    now = [True]
    guarded, far = breaker(lambda: "well" if now[0] else down(), clock)

    async def run() -> None:
        opened = -1e9
        for well, pause in story:
            clock.now += pause
            now[0] = well
            before, was = far.calls, state(guarded)
            try:
                await guarded.reply(ASKED)
                assert well
                assert state(guarded) == "closed"
            except UpstreamError:
                assert not well or was == "open"
            if was == "open":
                assert far.calls == before
                assert clock.now - opened < 5
            if was != "open" and state(guarded) == "open":
                opened = clock.now

    asyncio.run(run())


@pytest.mark.parametrize("settings", [{"failures": 0}, {"window": 0}, {"rest": 0}, {"share": 1.5}])
def test_settings_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Breaker(ScriptedModel(), **settings)
