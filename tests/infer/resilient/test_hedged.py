"""Hedged calls: the first answer wins, the other is cancelled, both are in the trace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError, ModelError, UpstreamError
from pilotfish.infer.resilient import Hedged
from pilotfish.model import Delta, Price, Reply, Request
from pilotfish.models.remote import RemoteModel
from tests.asking import streamed
from tests.fakes import Answer, ScriptedModel, ScriptedUpstream

from .parts import ASKED, Piecewise, down


class Turns:
    """A model whose calls take the seconds of a list, in turn."""

    name = "turns"

    def __init__(self, *delays: float) -> None:
        self.models = [Piecewise((f"call {i}",), delay=delay, name="turns") for i, delay in enumerate(delays, 1)]
        self.calls = 0

    def next(self) -> Piecewise:
        self.calls += 1
        return self.models[self.calls - 1]

    async def reply(self, request: Request) -> Reply:
        return await self.next().reply(request)

    def stream(self, request: Request) -> Any:
        return self.next().stream(request)


def test_in_time_there_is_no_second_call() -> None:
    turns = Turns(0.0)
    reply = ask(Hedged([turns], after=5), ASKED)
    assert (reply.text, turns.calls, len(reply.trace.calls), reply.trace.decisions) == ("call 1", 1, 1, ())


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_the_second_call_wins_and_the_first_is_cancelled(streams: bool) -> None:
    turns = Turns(30, 0.0)
    model = Hedged([turns], after=0.02, name="quick")
    reply = streamed(model, ASKED)[-1].reply if streams else ask(model, ASKED)
    assert reply is not None
    assert reply.text == "call 2"
    assert (turns.models[0].cancelled, turns.models[0].closed, turns.models[1].cancelled) == (1, 1, 0)
    lost, won = reply.trace.calls
    assert (lost.role, won.role) == ("hedge", "model")
    assert (lost.tokens_in, lost.tokens_out, lost.cost) == (won.tokens_in, won.tokens_out, won.cost)
    assert reply.cost == 2 * 0.01  # both are paid for
    assert lost.seconds >= 0.02
    assert reply.trace.decisions[-1].verdict == "asked 2 times, call 2 answered first"
    assert reply.trace.decisions[-1].model == "quick"


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_the_first_call_may_still_win(streams: bool) -> None:
    turns = Turns(0.1, 30)
    model = Hedged([turns], after=0.02)
    reply = streamed(model, ASKED)[-1].reply if streams else ask(model, ASKED)
    assert reply is not None
    assert reply.text == "call 1"
    assert turns.models[1].cancelled == 1
    assert [call.role for call in reply.trace.calls] == ["hedge", "model"]


def test_another_model_with_its_own_price() -> None:
    class Priced(Piecewise):
        price = Price(1e6, 2e6)

    slow, quick = Priced(delay=30, name="slow"), Piecewise(name="quick")
    reply = ask(Hedged([slow, quick], after=0.01), ASKED)
    assert [call.model for call in reply.trace.calls] == ["slow", "quick"]
    assert reply.trace.calls[0].cost == 3 * 1 + 2 * 2
    unpriced = Piecewise(delay=30, name="unpriced")
    assert ask(Hedged([unpriced, quick], after=0.01), ASKED).cost is None


def test_when_the_second_fails_the_first_still_counts() -> None:
    slow, broken = Piecewise(delay=0.1, name="slow"), Piecewise((), error=down(), name="broken")
    reply = ask(Hedged([slow, broken], after=0.01), ASKED)
    assert reply.text == "all well"
    assert [(call.model, call.role) for call in reply.trace.calls] == [("broken", "failed"), ("slow", "model")]


def test_when_both_fail_the_first_error_is_raised() -> None:
    models = [ScriptedModel([UpstreamError(f"{n}")], delay=0.05, name=f"{n}") for n in "ab"]
    with pytest.raises(UpstreamError, match=r"^a$"):
        ask(Hedged(models, after=0.01), ASKED)
    assert [model.calls for model in models] == [1, 1]


def test_a_call_that_fails_early_is_not_hedged() -> None:
    models = [ScriptedModel([down()]), ScriptedModel()]
    with pytest.raises(UpstreamError):
        ask(Hedged(models, after=5), ASKED)
    assert models[1].calls == 0


def test_a_stream_is_one_models() -> None:
    first = Piecewise(("a ", "b ", "c"), delay=0.05, pause=0.02, name="first")
    second = Piecewise(("x ", "y ", "z"), delay=0.03, pause=0.02, name="second")
    deltas = streamed(Hedged([first, second], after=0.01), ASKED)
    assert "".join(delta.text for delta in deltas) in ("a b c", "x y z")
    assert first.closed == second.closed == 1


def test_a_stream_that_breaks_off_is_an_error() -> None:
    broken = Piecewise(("half ",), error=down(), name="broken")
    seen: list[str] = []

    async def run() -> None:
        async for delta in Hedged([broken], after=5).stream(ASKED):
            seen.append(delta.text)

    with pytest.raises(UpstreamError):
        asyncio.run(run())
    assert seen == ["half "]


@pytest.mark.parametrize("pieces", [(), ("half ",), ("one ", "two ", "three ")])
def test_a_stream_that_is_cancelled_from_within_is_an_error(pieces: tuple[str, ...]) -> None:
    """As by a library's own time limit that leaks out: nobody would ever send the next piece."""

    class Dropped:
        name = "dropped"

        async def reply(self, request: Request) -> Reply:
            raise asyncio.CancelledError

        async def stream(self, request: Request) -> AsyncIterator[Delta]:
            for piece in pieces:
                yield Delta(piece)
            raise asyncio.CancelledError

    async def run() -> None:
        async with asyncio.timeout(5):
            async for _ in Hedged([Dropped()], after=2).stream(ASKED):
                await asyncio.sleep(0.01)

    with pytest.raises(ModelError, match="dropped: the call was cancelled"):
        asyncio.run(run())


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_a_caller_that_leaves_cancels_both(streams: bool) -> None:
    slow = Turns(30, 30)
    model = Hedged([slow], after=0.01)

    async def run() -> None:
        async def drain() -> None:
            async for _ in model.stream(ASKED):
                pass

        task = asyncio.create_task(drain() if streams else model.reply(ASKED))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    asyncio.run(run())
    assert [one.cancelled for one in slow.models] == [1, 1]


def test_the_delay_is_learnt_from_the_own_latencies() -> None:
    turns = Turns(*[0.0] * 30, 30, 0.0)
    model = Hedged([turns], quantile=0.9)

    async def run() -> Reply:
        for _ in range(30):
            await model.reply(ASKED)
        calls = turns.calls
        assert calls <= 32
        turns.models[calls : calls + 1] = [Piecewise(("late",), delay=30)]
        turns.models[calls + 1 : calls + 2] = [Piecewise(("in time",))]
        return await model.reply(ASKED)

    turns.models += [Piecewise() for _ in range(30)]
    assert asyncio.run(run()).text == "in time"


def test_nothing_is_hedged_before_latencies_are_known() -> None:
    turns = Turns(0.05, 0.0)
    assert ask(Hedged([turns], quantile=0.5), ASKED).text == "call 1"
    assert turns.calls == 1


def test_the_share_of_hedged_requests_is_bounded() -> None:
    turns = Turns(*[0.02] * 100)
    model = Hedged([turns], after=0.0, share=0.1)

    async def run() -> None:
        for _ in range(40):
            await model.reply(ASKED)

    asyncio.run(run())
    assert 42 <= turns.calls <= 44


def test_a_real_endpoint_sees_the_lost_call_hang_up() -> None:
    with ScriptedUpstream([Answer(hang=True), Answer("all well")]) as upstream:
        far = RemoteModel("far", upstream.url, key_env=None, retries=0, cache=None)
        assert ask(Hedged([far], after=0.05), ASKED).text == "all well"
        assert upstream.calls == 2
        assert upstream.wait_for(lambda: upstream.aborted == 1)


@pytest.mark.parametrize("settings", [{"after": -1}, {"quantile": 1}, {"share": 0}])
def test_settings_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Hedged([ScriptedModel()], **settings)
    with pytest.raises(ConfigError):
        Hedged([])
