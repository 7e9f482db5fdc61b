"""The key reaches the endpoint and nothing else: no repr, exception, traceback, log record, trace or cache file."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotfish import RemoteModel, ask
from pilotfish.errors import ConfigError, PilotfishError, UpstreamError
from pilotfish.models import _http
from tests.fakes import Answer, ScriptedUpstream, failing, malformed, redirect, wrong_type
from tests.models.remote_help import model_at, streamed

KEY = "sk-live-Zq8vTtopsecret0123456789"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_wait(seconds: float) -> None:
        pass

    monkeypatch.setattr(_http, "sleep", no_wait)
    monkeypatch.setenv("SHIP_KEY", KEY)


@pytest.fixture
def records() -> Iterator[list[str]]:
    """Every log record at DEBUG, of httpx and httpcore too, as text with its arguments."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name} {record.getMessage()} {record.args!r} {record.exc_text}")

    root, handler = logging.getLogger(), Keep(logging.DEBUG)
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(before)


def everything(error: BaseException) -> str:
    """Return all that an exception tells: its text, attributes, chain, and a traceback with the local variables."""
    shown, current = "", error
    while True:
        told = traceback.TracebackException.from_exception(current, capture_locals=True)
        # This file's own frames do hold the key.
        told.stack = traceback.StackSummary.from_list([f for f in told.stack if f.filename != __file__])
        shown += f"{current!r} {vars(current)!r} " + "".join(told.format())
        follow = current.__cause__ or current.__context__
        if follow is None:
            return shown
        current = follow


def test_the_key_goes_to_the_endpoint() -> None:
    with ScriptedUpstream(key=KEY) as upstream:
        assert ask(model_at(upstream, key_env="SHIP_KEY"), "x").text == "echo: x"
        assert upstream.seen[0].headers["authorization"] == f"Bearer {KEY}"
        ask(
            model_at(upstream, key_env="SHIP_KEY", key_header="api-key", headers={"Authorization": f"Bearer {KEY}"}),
            "x",
        )
        assert upstream.seen[1].headers["api-key"] == KEY


def test_the_key_is_read_when_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedUpstream() as upstream:
        model = model_at(upstream, key_env="SHIP_KEY")
        monkeypatch.setenv("SHIP_KEY", "  second \n")
        ask(model, "x")
        monkeypatch.delenv("SHIP_KEY")
        ask(model, "x")
        first, second = upstream.seen
    assert first.headers["authorization"] == "Bearer second"
    assert "authorization" not in second.headers


ECHO = Answer(lambda body: f"your key is {KEY}")


@pytest.mark.parametrize(
    "answer",
    [
        None,
        ECHO,
        failing(401, f"Incorrect API key provided: {KEY}"),
        failing(400, f"bad header Bearer {KEY}"),
        failing(500, KEY),
        malformed(),
        wrong_type(),
        redirect("http://elsewhere.invalid/"),
        Answer(drop_after=2),
        Answer(hang=True),
        Answer(raw=f'{{"error": {{"message": "{KEY}"}}}}'.encode()),
        Answer(raw=f'event: error\ndata: "{KEY}"\n\n'.encode(), content_type="text/event-stream"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_key_is_nowhere_else(answer: Answer | None, stream: bool, tmp_path: Path, records: list[str]) -> None:
    told = ""
    with ScriptedUpstream(answer) as upstream:
        model = model_at(upstream, key_env="SHIP_KEY", cache=tmp_path / "r.sqlite", timeout=0.3, retries=1)
        try:
            reply = streamed(model, "x")[-1].reply if stream else ask(model, "x")
            told += f"{reply!r}"
            assert reply is not None
            told += str(reply.trace.to_json())
        except PilotfishError as error:
            told += everything(error)
        assert upstream.seen[0].headers["authorization"] == f"Bearer {KEY}"  # it was sent
    told += f"{model!r} {vars(model)!r} {model._lanes!r} {vars(model._lanes)!r} {vars(model._exchange.key)!r}"
    told += "\n".join(records)
    assert records  # httpx and httpcore did log
    assert KEY not in told
    for file in tmp_path.iterdir():
        assert KEY.encode() not in file.read_bytes()
    assert KEY.encode() not in pickle.dumps(model)


def test_a_refused_key_names_its_variable() -> None:
    with ScriptedUpstream(key="another") as upstream:
        with pytest.raises(UpstreamError, match=r"refused the key in \$SHIP_KEY \(status 401\)") as caught:
            ask(model_at(upstream, key_env="SHIP_KEY"), "x")
        assert upstream.calls == 1
    assert caught.value.status == 401


def test_a_missing_key_says_which_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHIP_KEY")
    with ScriptedUpstream(key="any") as upstream:
        with pytest.raises(UpstreamError, match=r"refused a request without a key: set \$SHIP_KEY"):
            ask(model_at(upstream, key_env="SHIP_KEY"), "x")
        with pytest.raises(UpstreamError, match=r"carried no key: name its variable with key_env"):
            ask(model_at(upstream), "x")


@pytest.mark.parametrize("value", [f"{KEY}\nX-Evil: 1", f"{KEY}\x00", f"{KEY}é"])
def test_a_key_that_no_header_can_carry_is_not_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    if "\x00" not in value:
        monkeypatch.setenv("SHIP_KEY", value)
    else:
        monkeypatch.setattr(_http.KeyFrom, "read", lambda self: value)
    with ScriptedUpstream() as upstream:
        with pytest.raises(ConfigError, match=r"the key in \$SHIP_KEY holds characters") as caught:
            ask(model_at(upstream, key_env="SHIP_KEY"), "x")
        assert not upstream.seen
    assert KEY not in everything(caught.value)


def test_an_unreachable_endpoint_shows_no_key() -> None:
    model = RemoteModel("m", "http://127.0.0.1:9/v1", key_env="SHIP_KEY", retries=0)
    with pytest.raises(UpstreamError) as caught:
        ask(model, "x")
    assert KEY not in everything(caught.value)
