from __future__ import annotations

import asyncio
import email.utils
import random
import socket
import time
from typing import Any

import httpx
import pytest

from pilotfish import RemoteModel, Reply, Request, ask
from pilotfish.errors import UpstreamError
from pilotfish.models import _http, _http_errors
from tests.fakes import Answer, ScriptedUpstream, failing, malformed, rate_limited, redirect, wrong_type
from tests.models.remote_help import model_at, streamed


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, noted and not taken."""
    taken: list[float] = []

    async def note(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr(_http, "sleep", note)
    return taken


def outcome(model: RemoteModel, stream: bool, prompt: str = "x") -> Reply:
    if not stream:
        return ask(model, prompt)
    reply = streamed(model, prompt)[-1].reply
    assert reply is not None
    return reply


both = pytest.mark.parametrize("stream", [False, True])


@both
@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_passing_faults_are_tried_again(status: int, stream: bool, waits: list[float]) -> None:
    with ScriptedUpstream([failing(status), failing(status)]) as upstream:
        reply = outcome(model_at(upstream), stream)
        assert upstream.calls == 3
    assert reply.text == "echo: x"
    assert reply.trace.calls[0].why == "failed attempts before this one: 2"
    assert len(waits) == 2


@both
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 422])
def test_lasting_faults_are_not(status: int, stream: bool, waits: list[float]) -> None:
    with ScriptedUpstream(failing(status, "no such\nthing\x00")) as upstream:
        with pytest.raises(UpstreamError, match="no such thing") as caught:
            outcome(model_at(upstream), stream)
        assert upstream.calls == 1
    assert caught.value.status == status
    assert "\n" not in str(caught.value)
    assert not waits


@both
def test_it_gives_up_after_the_retries(stream: bool, waits: list[float]) -> None:
    with ScriptedUpstream(rate_limited("7")) as upstream:
        with pytest.raises(UpstreamError, match=r"answered 429: Rate limit reached \(3 attempts\)") as caught:
            outcome(model_at(upstream, retries=2), stream)
        assert upstream.calls == 3
    assert (caught.value.status, caught.value.retry_after) == (429, 7.0)
    assert len(waits) == 2


def test_a_retry_after_in_seconds_is_waited_for() -> None:
    with ScriptedUpstream([rate_limited(0.4)]) as upstream:
        start = time.monotonic()
        assert ask(model_at(upstream), "x").text == "echo: x"
        assert time.monotonic() - start >= 0.4


def test_a_retry_after_date_is_waited_for_and_capped(waits: list[float]) -> None:
    date = email.utils.formatdate(time.time() + 20, usegmt=True)
    with ScriptedUpstream([rate_limited(date), rate_limited(500), rate_limited("soon")]) as upstream:
        ask(model_at(upstream, longest_wait=30.0), "x")
    by_date, capped, unreadable = waits
    assert 18 <= by_date <= 20.3
    assert 30 <= capped <= 30.25
    assert 0 <= unreadable <= 2.0


def test_a_wait_beyond_the_deadline_is_not_begun(waits: list[float]) -> None:
    with ScriptedUpstream(rate_limited(50)) as upstream:
        with pytest.raises(UpstreamError, match="429"):
            ask(model_at(upstream, deadline=20.0), "x")
        assert upstream.calls == 1
    assert not waits


def test_retry_after_headers() -> None:
    read = _http_errors.retry_after
    assert read({}) is None
    assert read({"retry-after": "3.5"}) == 3.5
    assert read({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert read({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, now=1445412470.0) == 10.0
    assert read({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    assert read({"retry-after": "-3"}) is None
    assert read({"retry-after": "inf"}) is None


def test_backoff_is_exponential_with_full_jitter() -> None:
    random.seed(0)
    for attempt, top in enumerate((0.5, 1.0, 2.0, 4.0)):
        drawn = [_http.pause(attempt, None, 60.0) for _ in range(500)]
        assert 0 <= min(drawn) < 0.1 * top
        assert 0.9 * top < max(drawn) <= top
    assert max(_http.pause(30, None, 8.0) for _ in range(100)) <= 8.0


@both
def test_an_endpoint_that_never_answers(stream: bool, waits: list[float]) -> None:
    with ScriptedUpstream([Answer(hang=True)]) as upstream:
        model = model_at(upstream, timeout=0.2)
        assert outcome(model, stream).text == "echo: x"  # the second attempt
        assert upstream.calls == 2
        assert upstream.wait_for(lambda: upstream.aborted == 1)
    with ScriptedUpstream(Answer(hang=True)) as upstream, pytest.raises(UpstreamError, match=r"no answer within 0.1 s"):
        outcome(model_at(upstream, timeout=0.1, retries=1), stream)


@both
def test_a_slow_drip_is_cut_off(stream: bool, waits: list[float]) -> None:
    # A byte every 20 ms is never silent for 0.3 s, yet no event, and no whole body, is done in that time.
    drip = Answer(drip=0.02, write_bytes=1)
    with ScriptedUpstream(drip) as upstream:
        start = time.monotonic()
        with pytest.raises(UpstreamError, match=r"no answer within 0.3 s"):
            outcome(model_at(upstream, timeout=0.3, retries=0), stream)
        assert time.monotonic() - start < 1.5


def test_keep_alive_comments_are_no_progress() -> None:
    comments = Answer("", raw=b": wait\n\n" * 500, content_type="text/event-stream", write_bytes=8, drip=0.02)
    with ScriptedUpstream(comments) as upstream, pytest.raises(UpstreamError, match=r"no answer within 0.2 s"):
        streamed(model_at(upstream, timeout=0.2, retries=0), "x")


@both
def test_the_deadline_covers_all_attempts(stream: bool) -> None:
    with ScriptedUpstream(Answer(hang=True)) as upstream:
        start = time.monotonic()
        with pytest.raises(UpstreamError):
            outcome(model_at(upstream, timeout=0.2, deadline=0.5, retries=50), stream)
        assert time.monotonic() - start < 1.5
    with ScriptedUpstream(Answer(hang=True)) as upstream:
        with pytest.raises(UpstreamError, match=r"before the deadline of 0.2 s"):
            outcome(model_at(upstream, deadline=0.2), stream)
        assert upstream.calls == 1


def test_a_slow_reader_does_not_use_up_the_deadline() -> None:
    async def slowly(model: RemoteModel) -> str:
        text = ""
        async for delta in model.stream(Request.of("a b c")):
            text += delta.text
            await asyncio.sleep(0.15)
        return text

    with ScriptedUpstream() as upstream:
        assert asyncio.run(slowly(model_at(upstream, deadline=0.3))) == "echo: a b c"


@both
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (malformed(), "sent malformed JSON"),
        (wrong_type(), "sent text/html, not a completion: check base_url"),
        (Answer(empty=True), "empty choices"),
        (Answer(raw=b'{"object": "list"}'), "no list of choices"),
        (Answer(raw=b'{"choices": [3]}'), "unknown form"),
        (Answer(raw=b'{"choices": [{"message": {"content": "x"}, "logprobs": {"content": [{}]}}]}'), "unknown form"),
        (Answer(raw=b'{"error": {"message": "model overloaded", "code": 400}}'), "sent an error: model overloaded"),
        (Answer(raw=b"[" * 100_000), "malformed JSON"),
        (Answer(raw=b'{"choices": "\xff"}'), "malformed JSON|not UTF-8"),
    ],
)
def test_what_is_no_answer_says_so_and_is_not_asked_again(answer: Answer, message: str, stream: bool) -> None:
    with ScriptedUpstream(answer) as upstream:
        with pytest.raises(UpstreamError, match=message):
            outcome(model_at(upstream), stream)
        assert upstream.calls == 1


@both
def test_an_answer_without_end_is_cut_off(stream: bool) -> None:
    with ScriptedUpstream(Answer("word " * 5000)) as upstream:
        with pytest.raises(UpstreamError, match="more than 1000 bytes"):
            outcome(model_at(upstream, max_bytes=1000), stream)
        assert upstream.calls == 1


def test_a_dropped_body_is_tried_again(waits: list[float]) -> None:
    with ScriptedUpstream([Answer(drop_after=1)]) as upstream:
        assert ask(model_at(upstream), "x").text == "echo: x"
        assert upstream.calls == 2
    with (
        ScriptedUpstream(Answer(drop_after=1)) as upstream,
        pytest.raises(UpstreamError, match="dropped the connection"),
    ):
        ask(model_at(upstream, retries=1), "x")


def test_a_stream_dropped_before_its_first_text_is_tried_again(waits: list[float]) -> None:
    with ScriptedUpstream([Answer("old words", drop_after=0), Answer("old words", drop_after=1)]) as upstream:
        deltas = streamed(model_at(upstream), "x")
        assert upstream.calls == 3
    assert "".join(delta.text for delta in deltas) == "echo: x"


def test_a_stream_dropped_later_is_an_error_and_never_spliced(waits: list[float]) -> None:
    got: list[str] = []

    async def read(model: RemoteModel) -> None:
        async for delta in model.stream(Request.of("x")):
            got.append(delta.text)

    with ScriptedUpstream([Answer("one two three", drop_after=3)], then=Answer("another answer")) as upstream:
        with pytest.raises(UpstreamError, match="broke off after 7 characters and is not continued"):
            asyncio.run(read(model_at(upstream)))
        assert upstream.calls == 1
    assert got == ["one", " two"]
    assert not waits


@pytest.mark.parametrize("text", ["one two", ""])
def test_a_stream_without_done_is_not_whole(text: str, waits: list[float]) -> None:
    with ScriptedUpstream(Answer(text, done=False)) as upstream:
        with pytest.raises(UpstreamError, match=r"ended the stream without \[DONE\]"):
            streamed(model_at(upstream, retries=1), "x")
        assert upstream.calls == (1 if text else 2)


def test_an_error_event_in_a_stream() -> None:
    raw = b'event: error\ndata: {"message": "overloaded"}\n\n'
    with ScriptedUpstream([Answer(raw=raw, content_type="text/event-stream")]) as upstream:
        assert streamed(model_at(upstream), "x")[-1].reply is not None
        assert upstream.calls == 2


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_streams_cut_anywhere_with_comments_and_any_line_end(newline: str, size: int) -> None:
    with ScriptedUpstream(Answer("naïve 日本 🐟 end", write_bytes=size, newline=newline, comments=True)) as upstream:
        deltas = streamed(model_at(upstream), "x")
    assert [delta.text for delta in deltas] == ["naïve", " 日本", " 🐟", " end", ""]


def test_an_endpoint_that_does_not_stream_gives_one_delta() -> None:
    raw = b'{"choices": [{"index": 0, "message": {"content": "all at once"}, "finish_reason": "stop"}]}'
    with ScriptedUpstream(Answer(raw=raw)) as upstream:
        text, last = streamed(model_at(upstream), "x")
    assert text.text == "all at once"
    assert last.reply is not None


def test_an_unreachable_endpoint_is_named_without_its_query(waits: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = RemoteModel("m", f"http://127.0.0.1:{port}/v1?deployment=x", key_env=None, retries=1)
    with pytest.raises(
        UpstreamError, match=rf"^http://127.0.0.1:{port}/v1/chat/completions cannot be reached"
    ) as caught:
        ask(model, "x")
    assert "deployment" not in str(caught.value)
    assert caught.value.status is None
    assert len(waits) == 1


@both
def test_redirects_are_not_followed(stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret-123456")
    with ScriptedUpstream() as other, ScriptedUpstream(redirect(other.url + "/chat/completions?x=1")) as upstream:
        with pytest.raises(UpstreamError, match=rf"redirects to {other.url}/chat/completions, which is not followed"):
            outcome(model_at(upstream, key_env="SOME_KEY"), stream)
        assert other.calls == 0
        assert not other.seen


def test_any_http_error_has_one_line() -> None:
    errors: list[Any] = [httpx.ReadTimeout(""), httpx.ConnectTimeout(""), httpx.ConnectError("refused\n!")]
    errors += [httpx.ProxyError("p"), httpx.ReadError(""), httpx.UnsupportedProtocol("u"), httpx.InvalidURL("i")]
    for error in errors:
        line = str(_http_errors.http_fault("http://h/v1", error, 3))
        assert line.startswith("http://h/v1 ")
        assert "\n" not in line
