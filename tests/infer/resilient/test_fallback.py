"""Fallbacks and time limits: the next model answers, and two answers are never spliced."""

from __future__ import annotations

import asyncio

import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError, ModelError, UpstreamError
from pilotfish.infer.resilient import Fallback, Timed
from pilotfish.model import Decision, Model
from pilotfish.models.remote import RemoteModel
from tests.asking import streamed
from tests.fakes import Answer, ScriptedModel, ScriptedUpstream, failing, malformed, rate_limited, wrong_type

from .parts import ASKED, Piecewise, down


def text(model: Model) -> str:
    return "".join(delta.text for delta in streamed(model, ASKED))


def test_the_first_that_answers() -> None:
    first, second = ScriptedModel("hello", name="first"), ScriptedModel("other", name="second")
    reply = ask(Fallback([first, second]), ASKED)
    assert (reply.text, second.calls, reply.trace.decisions) == ("hello", 0, ())


@pytest.mark.parametrize("error", [down(), down(None), ModelError("not for me")])
def test_the_next_when_one_fails(error: Exception) -> None:
    first = ScriptedModel([error], name="first")
    second = ScriptedModel("all well", name="second")
    reply = ask(Fallback([first, second], "safe"), ASKED)
    assert reply.text == "all well"
    assert [(call.model, call.role) for call in reply.trace.calls] == [("first", "failed"), ("second", "model")]
    assert reply.trace.calls[0].why == str(error)
    assert reply.trace.decisions == (Decision("safe", "fell back to second"),)
    assert reply.usage.calls == 2


def test_when_all_fail_it_says_how_each_did() -> None:
    models = [ScriptedModel([UpstreamError(f"{n} is full", status=429, retry_after=n)], name=f"m{n}") for n in (7, 3)]
    with pytest.raises(UpstreamError, match="7 is full; 3 is full") as caught:
        ask(Fallback(models), ASKED)
    assert (caught.value.status, caught.value.retry_after) == (429, 3)
    with pytest.raises(ModelError, match="neither") as other:
        ask(Fallback([ScriptedModel([ModelError("neither")]), ScriptedModel([ModelError("nor")])]), ASKED)
    assert not isinstance(other.value, UpstreamError)


def test_a_fault_of_ours_is_no_reason_to_fall_back() -> None:
    with pytest.raises(ConfigError):
        ask(Fallback([ScriptedModel([ConfigError("no such key")]), ScriptedModel()]), ASKED)


def test_a_stream_falls_back_before_its_first_piece() -> None:
    first, second = Piecewise((), error=down(), name="first"), Piecewise(name="second")
    deltas = streamed(Fallback([first, second]), ASKED)
    assert [delta.text for delta in deltas] == ["all ", "well", ""]
    reply = deltas[-1].reply
    assert reply is not None
    assert [call.role for call in reply.trace.calls] == ["failed", "model"]
    assert reply.trace.decisions[-1].verdict == "fell back to second"


def test_a_stream_is_never_spliced() -> None:
    first, second = Piecewise(("half an ",), error=down(), name="first"), Piecewise(name="second")
    seen: list[str] = []

    async def run() -> None:
        async for delta in Fallback([first, second]).stream(ASKED):
            seen.append(delta.text)

    with pytest.raises(UpstreamError, match="down"):
        asyncio.run(run())
    assert seen == ["half an "]
    assert second.begun == 0


def test_a_stream_left_early_closes_the_models() -> None:
    model = Piecewise(pause=10)

    async def run() -> None:
        stream = Fallback([Timed(model, 20)]).stream(ASKED)
        assert (await anext(stream)).text == "all "
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(run())
    assert model.closed == 1


def test_what_takes_too_long_is_cancelled() -> None:
    slow, quick = ScriptedModel("late", delay=30, name="slow"), ScriptedModel("in time", name="quick")
    with pytest.raises(UpstreamError, match=r"slow.*0\.05 s") as caught:
        ask(Timed(slow, 0.05), ASKED)
    assert caught.value.status == 504
    assert slow.cancelled == 1
    reply = ask(Fallback([Timed(slow, 0.05), quick]), ASKED)
    assert (reply.text, slow.cancelled) == ("in time", 2)
    assert 0.04 < reply.trace.calls[0].seconds < 5


def test_a_slow_stream_falls_back_only_before_its_first_piece() -> None:
    late, drips = Piecewise(delay=30, name="late"), Piecewise(pause=30, name="drips")
    quick = Piecewise(("quick",), name="quick")
    assert text(Fallback([Timed(late, 0.05), quick])) == "quick"
    assert late.cancelled == 1
    with pytest.raises(UpstreamError, match="next piece"):
        text(Fallback([Timed(drips, 0.05), quick]))
    assert drips.cancelled == 1


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ConfigError):
        Fallback([])
    with pytest.raises(ConfigError):
        Timed(ScriptedModel(), 0)


FAULTS = {
    "500": failing(500),
    "429": rate_limited("0"),
    "malformed": malformed(),
    "wrong type": wrong_type(),
    "hangs": Answer(hang=True),
    "drops": Answer("half an answer", drop_after=0),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_real_endpoints_that_fail(fault: Answer, streams: bool) -> None:
    with ScriptedUpstream(fault) as broken, ScriptedUpstream(Answer("all well")) as sound:
        first = RemoteModel("first", broken.url, key_env=None, retries=0, cache=None)
        second = RemoteModel("second", sound.url, key_env=None, retries=0, cache=None)
        model = Fallback([Timed(first, 0.3), second])
        assert (text(model) if streams else ask(model, ASKED).text) == "all well"
        assert (broken.calls, sound.calls) == (1, 1)
        if fault.hang:
            assert broken.wait_for(lambda: broken.aborted == 1)  # the call is cancelled, not left to run


def test_a_real_stream_that_drops_is_an_error_not_a_splice() -> None:
    with ScriptedUpstream(Answer("half of an answer", drop_after=3)) as broken, ScriptedUpstream() as sound:
        first = RemoteModel("first", broken.url, key_env=None, retries=0, cache=None)
        second = RemoteModel("second", sound.url, key_env=None, retries=0, cache=None)
        with pytest.raises(UpstreamError, match="broke off"):
            text(Fallback([first, second]))
        assert sound.calls == 0
