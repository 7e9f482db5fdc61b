"""The HTTP client of remote models: connections that go bad while idle, proxies, TLS, slow readers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pilotfish import RemoteModel, Request
from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.models import _http
from tests.fakes import ScriptedUpstream
from tests.models.remote_help import collect, model_at

BODY = json.dumps({"choices": [{"index": 0, "message": {"content": "fine"}, "finish_reason": "stop"}]}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def served(handler: Handler, **settings: object) -> AsyncIterator[int]:
    """Serve a handler of connections; gives the port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, **settings)  # type: ignore[arg-type]
    async with server:
        yield server.sockets[0].getsockname()[1]


async def taken(reader: asyncio.StreamReader) -> bytes:
    """Read one request; return its head."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return head


def test_bytes_nobody_asked_for_are_never_the_next_answer() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await taken(reader)
        writer.write(ANSWER)
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(ANSWER.replace(b"fine", b"evil"))
        await taken(reader)
        writer.write(ANSWER.replace(b"fine", b"late"))

    async def run() -> list[str]:
        async with served(handler) as port:
            model = RemoteModel("m", f"http://127.0.0.1:{port}/v1", key_env=None, retries=0)
            first = await model.reply(Request.of("x"))
            await asyncio.sleep(0.1)
            second = await model.reply(Request.of("y"))
            await model.aclose()
            return [first.text, second.text]

    assert asyncio.run(run()) == ["fine", "fine"]  # on a connection of its own


def test_a_connection_that_the_endpoint_closed_meanwhile_is_not_used() -> None:
    opened = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await taken(reader)
        writer.write(ANSWER)

    async def run() -> None:
        async with served(handler) as port:
            model = RemoteModel("m", f"http://127.0.0.1:{port}/v1", key_env=None, retries=0)
            for _ in range(3):
                assert (await model.reply(Request.of("x"))).text == "fine"
                await asyncio.sleep(0.02)
            await model.aclose()

    asyncio.run(run())
    assert opened == 3


def test_a_proxy_of_the_environment_is_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await taken(reader))
        writer.write(ANSWER)

    async def run() -> str:
        async with served(handler) as port:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
            model = RemoteModel("m", "http://models.invalid/v1", key_env=None, retries=0, headers={"X-Team": "sea"})
            text = (await model.reply(Request.of("x"))).text
            await model.aclose()
            return text

    assert asyncio.run(run()) == "fine"
    assert seen[0].startswith(b"POST http://models.invalid/v1/chat/completions ")
    assert b"x-team: sea" in seen[0].lower()


def test_tls_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ssl

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", str(key)]
    named = ["-addext", "subjectAltName=DNS:localhost", "-out", str(certificate)]
    subprocess.run([*made, *named], check=True, capture_output=True)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate, key)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await taken(reader)
            writer.write(ANSWER)

    async def run() -> None:
        async with served(handler, ssl=server) as port:
            model = RemoteModel("m", f"https://localhost:{port}/v1", key_env=None, retries=0)
            with pytest.raises(UpstreamError, match=r"cannot be reached: .*self.signed"):
                await model.reply(Request.of("x"))
            monkeypatch.setattr(_http, "_tls", lambda: ssl.create_default_context(cafile=certificate))
            trusting = RemoteModel("m", f"https://localhost:{port}/v1", key_env=None, retries=0)
            for _ in range(2):
                assert (await trusting.reply(Request.of("x"))).text == "fine"
            await trusting.aclose()

    asyncio.run(run())


def test_a_slow_reader_makes_the_endpoint_wait() -> None:
    sent = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await taken(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        event = json.dumps({"choices": [{"index": 0, "delta": {"content": "x" * 1000}}]})
        for _ in range(20_000):
            writer.write(f"data: {event}\n\n".encode())
            await writer.drain()
            sent += 1

    async def run() -> None:
        async with served(handler) as port:
            model = RemoteModel("m", f"http://127.0.0.1:{port}/v1", key_env=None, retries=0)
            stream = model.stream(Request.of("x"))
            await anext(stream)
            await asyncio.sleep(0.3)
            await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(run())
    assert sent < 15_000  # 20 MB would have come without the brake


@pytest.mark.parametrize("headers", [{"X-A": "a\r\nX-Evil: 1"}, {"X A": "a"}, {"X-A": "é"}])
def test_headers_that_cannot_be_sent_are_refused_and_not_shown(headers: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="header") as caught:
        RemoteModel("m", "http://127.0.0.1:9/v1", headers=headers)
    assert "Evil" not in str(caught.value)


def test_requests_side_by_side_get_their_own_answers() -> None:
    async def run() -> list[str]:
        model = model_at(upstream, concurrency=16)
        replies = await asyncio.gather(*(model.reply(Request.of(f"q{i}")) for i in range(200)))
        streams = await asyncio.gather(*(collect(model, f"s{i}") for i in range(50)))
        return [reply.text for reply in replies] + ["".join(d.text for d in deltas) for deltas in streams]

    with ScriptedUpstream() as upstream:
        texts = asyncio.run(run())
        assert upstream.connections <= 16
    assert texts == [f"echo: q{i}" for i in range(200)] + [f"echo: s{i}" for i in range(50)]
