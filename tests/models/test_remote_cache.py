from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pilotfish import Price, RemoteModel, Reply, Request, ask
from pilotfish.errors import DataError, UpstreamError
from pilotfish.models import _http
from pilotfish.models.cache import ReplyCache
from tests.fakes import Answer, ScriptedUpstream, failing
from tests.models.remote_help import collect, model_at, streamed


def test_a_cached_reply_costs_no_call_and_no_money(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with ScriptedUpstream(Answer("a b", tool_calls=[("c", "f", "{}")])) as upstream:
        first = ask(model_at(upstream, cache=path, price=Price(1, 1)), "x", logprobs=True, n=2)
        again = ask(model_at(upstream, cache=str(path), price=Price(1, 1), name="other"), "x", logprobs=True, n=2)
        (delta,) = streamed(model_at(upstream, cache=path), "x", logprobs=True, n=2)
        assert upstream.calls == 1
    (call,) = again.trace.calls
    assert (again.text, again.tool_calls, again.logprobs) == (first.text, first.tool_calls, first.logprobs)
    assert [choice.text for choice in again.choices] == [choice.text for choice in first.choices]
    assert first.cost is not None
    assert first.cost > 0
    assert (call.model, call.cached, call.cost) == ("other", True, 0.0)
    assert again.usage.tokens_out == first.usage.tokens_out > 0
    assert delta.text == first.text
    assert delta.reply is not None
    assert delta.reply.tool_calls == first.tool_calls


def test_a_streamed_reply_is_cached_for_both(tmp_path: Path) -> None:
    with ScriptedUpstream() as upstream:
        model = model_at(upstream, cache=tmp_path / "r.sqlite")
        streamed(model, "x")
        assert ask(model, "x").text == "echo: x"
        assert upstream.calls == 1


def test_whatever_can_change_the_answer_is_part_of_the_key(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with ScriptedUpstream() as upstream:
        model = model_at(upstream, cache=path)
        requests = [
            Request.of("x"),
            Request.of("y"),
            Request.of("x", temperature=0.5),
            Request.of("x", temperature=0.5, seed=1),
            Request.of("x", extra={"top_k": 1}),
            Request.of("x", metadata={"sample": 1}),
            Request.of("x", metadata={"sample": 2}),
        ]
        others = [
            model_at(upstream, cache=path, api="completions"),
            model_at(upstream, cache=path, extra={"top_k": 2}),
            RemoteModel("another", upstream.url, key_env=None, cache=path),
            RemoteModel("tiny", upstream.url + "/", key_env=None, cache=path),  # the same endpoint
        ]
        for _ in range(2):
            for request in requests:
                ask(model, request)
            for other in others:
                ask(other, "x")
            ask(model, Request.of("x", metadata={"row": 5}))
        assert upstream.calls == len(requests) + len(others) - 1
        assert "sample" not in str([seen.body for seen in upstream.seen])


@pytest.mark.parametrize("stream", [False, True])
def test_only_whole_good_replies_are_cached(tmp_path: Path, stream: bool) -> None:
    script = [failing(400), Answer(drop_after=2), Answer(empty=True)]
    with ScriptedUpstream(script) as upstream:
        model = model_at(upstream, cache=tmp_path / "r.sqlite", retries=0)
        for _ in range(3):
            with pytest.raises(UpstreamError):
                streamed(model, "x") if stream else ask(model, "x")
        assert ask(model, "x").text == "echo: x"
        assert upstream.calls == 4


def test_a_stream_that_was_left_is_not_cached(tmp_path: Path) -> None:
    async def leave(model: RemoteModel) -> None:
        stream = model.stream(Request.of("a b c"))
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]

    with ScriptedUpstream() as upstream:
        model = model_at(upstream, cache=tmp_path / "r.sqlite")
        asyncio.run(leave(model))
        ask(model, "a b c")
        assert upstream.calls == 2


def test_equal_requests_at_one_time_share_one_call(tmp_path: Path) -> None:
    async def many(model: RemoteModel) -> list[Reply]:
        return await asyncio.gather(*(model.reply(Request.of("same")) for _ in range(10)))

    with ScriptedUpstream(Answer(delay=0.05)) as upstream:
        replies = asyncio.run(many(model_at(upstream, cache=tmp_path / "r.sqlite", price=Price(1, 1))))
        assert upstream.calls == 1
        assert {reply.text for reply in replies} == {"echo: same"}
        assert sum(not reply.trace.calls[0].cached for reply in replies) == 1
        assert sum(reply.cost or 0 for reply in replies) == pytest.approx(replies[0].cost)
        asyncio.run(many(model_at(upstream)))  # without a cache each is a sample of its own
        assert upstream.calls == 11


def test_a_stream_waits_for_an_equal_reply_under_way(tmp_path: Path) -> None:
    async def two(model: RemoteModel) -> int:
        reply = asyncio.create_task(model.reply(Request.of("x")))
        await asyncio.sleep(0.02)
        deltas = await collect(model, "x")
        await reply
        return len(deltas)

    with ScriptedUpstream(Answer(delay=0.1)) as upstream:
        assert asyncio.run(two(model_at(upstream, cache=tmp_path / "r.sqlite"))) == 1
        assert upstream.calls == 1


def test_who_waits_for_a_cancelled_equal_request_takes_over(tmp_path: Path) -> None:
    async def take_over(model: RemoteModel) -> str:
        first = asyncio.create_task(model.reply(Request.of("x")))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(model.reply(Request.of("x")))
        await asyncio.sleep(0.05)
        first.cancel()
        return (await second).text

    with ScriptedUpstream([Answer(hang=True)]) as upstream:
        assert asyncio.run(take_over(model_at(upstream, cache=tmp_path / "r.sqlite"))) == "echo: x"
        assert upstream.calls == 2


def test_a_failure_is_shared_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def many(model: RemoteModel) -> list[Reply | BaseException]:
        return await asyncio.gather(*(model.reply(Request.of("x")) for _ in range(5)), return_exceptions=True)

    with ScriptedUpstream(failing(400, "no")) as upstream:
        failures = asyncio.run(many(model_at(upstream, cache=tmp_path / "r.sqlite")))
        assert upstream.calls == 1
    assert all(isinstance(failure, UpstreamError) and failure.status == 400 for failure in failures)
    assert len({id(failure) for failure in failures}) == 5


def test_a_reply_that_arrived_is_kept_though_its_caller_was_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ReplyCache(tmp_path / "r.sqlite")
    put, begun = cache.put, asyncio.Event()

    async def cancel_while_keeping(model: RemoteModel) -> None:
        loop = asyncio.get_running_loop()

        def slow_put(key: bytes, reply: Reply) -> None:
            loop.call_soon_threadsafe(begun.set)
            import time

            time.sleep(0.1)
            put(key, reply)

        monkeypatch.setattr(cache, "put", slow_put)
        task = asyncio.create_task(model.reply(Request.of("x")))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with ScriptedUpstream() as upstream:
        model = model_at(upstream, cache=cache)
        asyncio.run(cancel_while_keeping(model))
        monkeypatch.setattr(cache, "put", put)
        assert ask(model, "x").trace.calls[0].cached
        assert upstream.calls == 1


def test_a_damaged_cache_is_a_clear_error_before_any_call(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    path.write_bytes(b"garbage" * 1000)
    with ScriptedUpstream() as upstream:
        with pytest.raises(DataError, match="damaged"):
            ask(model_at(upstream, cache=path), "x")
        assert upstream.calls == 0


def test_true_means_the_users_own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILOTFISH_HOME", str(tmp_path))
    with ScriptedUpstream() as upstream:
        ask(model_at(upstream, cache=True), "x")
        ask(model_at(upstream, cache=True), "x")
        ask(model_at(upstream, cache=False), "x")
        assert upstream.calls == 2
    assert (tmp_path / "replies.sqlite").is_file()


def test_retries_then_success_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_wait(seconds: float) -> None:
        pass

    monkeypatch.setattr(_http, "sleep", no_wait)
    with ScriptedUpstream([failing(503)]) as upstream:
        model = model_at(upstream, cache=tmp_path / "r.sqlite")
        ask(model, "x")
        ask(model, "x")
        assert upstream.calls == 2
