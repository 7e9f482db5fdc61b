"""What is too much: long bodies, long headers, slow senders, too many at once; and a stop that finishes its work."""

from __future__ import annotations

import json
import socket
import threading
import time

from pilotfish.model import Model
from pilotfish.serve._server import bind
from pilotfish.serve.settings import Settings
from tests.fakes import ScriptedModel
from tests.serve.gateways import events, running, started, until
from tests.serve.test_cancel import asked


def answer_to(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send parts over a bare socket and return all that comes back until the other end hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        for part in parts:
            try:
                client.sendall(part)
            except OSError:
                break
            time.sleep(pause)
        found = b""
        while True:
            try:
                data = client.recv(65536)
            except OSError:
                return found
            if not data:
                return found
            found += data


def test_a_body_that_is_too_long_is_refused_before_it_is_read() -> None:
    model = ScriptedModel(name="small")
    with running({"small": model}, Settings(max_body=1000)) as gateway:
        told = gateway.chat("x" * 2000)
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        # The length is told and the body never sent; then no length is told and more comes than may.
        early = answer_to(gateway.port, head + b"Content-Length: 2000\r\n\r\n")
        chunked = answer_to(
            gateway.port, head + b"Transfer-Encoding: chunked\r\n\r\n" + b"3E8\r\n%s\r\n" % (b"x" * 1000) * 3
        )
    assert told.status_code == 413
    for raw in (early, chunked):
        assert raw.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in raw
    assert model.calls == 0


def test_headers_that_are_too_long_are_refused() -> None:
    with started({"small": ScriptedModel(name="small")}, Settings(max_header=2000, grace=1)) as gateway:
        start = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
        whole = answer_to(gateway.port, start + b"X-A: %s\r\n\r\n" % (b"a" * 3000))
        endless = answer_to(gateway.port, start + b"X-A: ", *[b"a" * 500] * 8, pause=0.01)
        fine = answer_to(gateway.port, start + b"Connection: close\r\nX-A: %s\r\n\r\n" % (b"a" * 1000))
    assert whole.startswith(b"HTTP/1.1 431 ")
    assert endless.startswith(b"HTTP/1.1 431 ")
    assert fine.startswith(b"HTTP/1.1 200 ")


def test_senders_that_are_too_slow_are_hung_up_on() -> None:
    with started({"small": ScriptedModel(name="small")}, Settings(receive_timeout=0.3, grace=1)) as gateway:
        begun = time.monotonic()
        silent = answer_to(gateway.port)
        heads = answer_to(gateway.port, b"GET /healthz HTTP/1.1\r\n", b"X-A: 1\r\n")
        body = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
        bodies = answer_to(gateway.port, body)
        assert time.monotonic() - begun < 5
    assert silent.startswith(b"HTTP/1.1 408 ")
    assert heads.startswith(b"HTTP/1.1 408 ")
    assert bodies.startswith(b"HTTP/1.1 408 ")


def test_a_client_that_never_reads_is_hung_up_on() -> None:
    model = ScriptedModel(lambda _: "word " * 400_000, name="small")
    with started({"small": model}, Settings(receive_timeout=0.5, grace=1)) as gateway, asked(gateway, stream=True):
        assert until(lambda: model.active == 1)
        assert until(lambda: model.cancelled == 1, 8)
        assert until(lambda: gateway.gateway.in_flight == 0)


def test_too_many_at_once_are_told_to_come_back() -> None:
    model = ScriptedModel("x", name="small", delay=30)
    with running({"small": model}, Settings(max_requests=2)) as gateway:
        with asked(gateway), asked(gateway):
            assert until(lambda: model.active == 2)
            answer = gateway.chat("x")
            health = gateway.client.get("/healthz")
        assert until(lambda: gateway.gateway.in_flight == 0)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["code"] == "overloaded"
    assert health.status_code == 200


def test_stopping_finishes_streams_and_refuses_what_is_new() -> None:
    model = ScriptedModel("one two three four", name="small", delay=0.8)
    got: list[list[object]] = []
    ended: list[float] = []

    async def on_end() -> None:
        ended.append(time.monotonic())

    with started({"small": model}, Settings(drain=0.4, grace=5), on_end=on_end) as gateway:
        reader = threading.Thread(target=lambda: got.append(events(gateway.chat("x", stream=True))))
        reader.start()
        assert until(lambda: model.active == 1)
        gateway.server.handle_exit(15, None)
        ready, new = gateway.client.get("/readyz"), gateway.chat("y")
        assert gateway.client.get("/healthz").status_code == 200
        reader.join()
        gateway.thread.join(5)
        assert not gateway.thread.is_alive()
    assert (ready.status_code, ready.json()["status"]) == (503, "stopping")
    assert (new.status_code, new.headers["connection"], new.headers["retry-after"]) == (503, "close", "1")
    (chunks,) = got
    assert chunks[-1] == "[DONE]"
    assert len(ended) == 1


def test_what_outlasts_the_grace_is_cut_off() -> None:
    model = ScriptedModel("x", name="small", delay=30)
    with started({"small": model}, Settings(grace=0.2)) as gateway, asked(gateway):
        assert until(lambda: model.active == 1)
        gateway.server.handle_exit(15, None)
        gateway.thread.join(5)
        assert not gateway.thread.is_alive()
    assert model.cancelled == 1


def test_ready_only_once_everything_is_loaded() -> None:
    loaded = threading.Event()
    models: dict[str, Model] = {"small": ScriptedModel(name="small")}

    async def load() -> None:
        import asyncio

        await asyncio.to_thread(loaded.wait, 5)

    with started(models, on_start=load) as gateway:
        first = gateway.client.get("/readyz")
        assert gateway.client.get("/healthz").status_code == 200
        loaded.set()
        assert until(lambda: gateway.client.get("/readyz").status_code == 200)
    assert (first.status_code, first.json()["status"]) == (503, "loading")


def test_a_failed_start_is_told_in_the_log_and_the_rest_is_served() -> None:
    async def load() -> None:
        raise RuntimeError("no weights")

    with started({"small": ScriptedModel(name="small")}, on_start=load) as gateway:
        assert until(lambda: gateway.client.get("/readyz").status_code == 200)
        assert gateway.chat("x").status_code == 200


def test_small_writes_leave_at_once() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP  # asyncio's condition for TCP_NODELAY


def test_pipelined_requests_are_answered_in_order() -> None:
    def ask(prompt: str, end: bytes = b"") -> bytes:
        body = json.dumps({"model": "small", "messages": [{"role": "user", "content": prompt}]}).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        return head + b"%sContent-Length: %d\r\n\r\n" % (end, len(body)) + body

    model = ScriptedModel(lambda request: request.prompt.upper(), name="small", delay=0.02)
    with running({"small": model}) as gateway:
        raw = answer_to(gateway.port, ask("a") + ask("b") + ask("c", b"Connection: close\r\n"))
    assert [raw.index(b'"content":"%s"' % letter) for letter in (b"A", b"B", b"C")] == sorted(
        raw.index(b'"content":"%s"' % letter) for letter in (b"A", b"B", b"C")
    )
