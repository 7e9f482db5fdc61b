"""A client that leaves, over a real socket: what was under way for it stops, up to the endpoint behind."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pilotfish.model import Model, Price
from pilotfish.serve.keys import Keys, new_key
from pilotfish.serve.record import Served
from pilotfish.serve.settings import Settings
from tests.fakes import Answer, ScriptedModel, ScriptedUpstream
from tests.models.remote_help import model_at
from tests.serve.gateways import Running, running, started, until


class Kept:
    """A log that keeps its records."""

    def __init__(self) -> None:
        self.records: list[Served] = []

    def put(self, served: Served) -> None:
        self.records.append(served)


@contextmanager
def asked(gateway: Running, prompt: str = "x", model: str = "small", **fields: object) -> Iterator[socket.socket]:
    """Ask over a bare socket; it closes with the block."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": prompt}], **fields}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as client:
        client.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        yield client


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_while_it_waits(stream: bool) -> None:
    model, log = ScriptedModel("x", name="small", delay=30), Kept()
    with running({"small": model}, log=log) as gateway:
        with asked(gateway, stream=stream):
            assert until(lambda: model.active == 1)
        assert until(lambda: model.cancelled == 1)
        assert until(lambda: len(log.records) == 1)
        assert gateway.metrics()['pilotfish_errors_total{model="small",status="499"}'] == 1
    (served,) = log.records
    assert (served.status, served.attempts, served.calls[0].why) == (499, 1, "cancelled; tokens guessed")
    assert served.cost is None


def test_a_client_that_leaves_in_the_middle_of_a_stream() -> None:
    model, log = ScriptedModel("word " * 200, name="small", delay=20), Kept()
    with running({"small": model}, log=log) as gateway:
        with asked(gateway, stream=True) as client:
            seen = b""
            while seen.count(b"word") < 3:
                seen += client.recv(4096)
        assert until(lambda: model.cancelled == 1)
        assert until(lambda: len(log.records) == 1)
    (served,) = log.records
    assert served.reply is not None
    assert served.reply.text.startswith("word word word")
    assert (served.status, served.reply.finish_reason) == (499, "cancelled")
    assert served.first_byte is not None


@pytest.mark.parametrize("stream", [False, True])
def test_the_endpoint_behind_is_hung_up_on(stream: bool) -> None:
    answer = Answer("a b c d e f g h", drip=0.5) if stream else Answer(hang=True)
    with ScriptedUpstream(answer) as upstream:
        models: dict[str, Model] = {"small": model_at(upstream, timeout=30.0)}
        with started(models) as gateway:
            with asked(gateway, stream=stream) as client:
                assert until(lambda: upstream.active == 1)
                if stream:
                    assert client.recv(4096)
            assert upstream.wait_for(lambda: upstream.aborted == 1)


def test_what_a_client_that_left_has_used_is_counted() -> None:
    secret, digest = new_key()
    keys = Keys([{"name": "ann", "sha256": digest, "tokens_per_minute": 60}])
    model = ScriptedModel("x", name="small", delay=30)
    with running({"small": model}, keys=keys) as gateway:
        head = {"authorization": f"Bearer {secret}"}
        body = json.dumps({"model": "small", "messages": [{"role": "user", "content": "y" * 160}]}).encode()
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as client:
            lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            client.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n%s"
                % (lines.encode(), len(body), body)
            )
            assert until(lambda: model.active == 1)
        assert until(lambda: model.cancelled == 1)
        assert until(lambda: gateway.gateway.in_flight == 0)
        refused = gateway.post("chat/completions", json.loads(body), **head)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1


def test_a_budget_cannot_be_dodged_by_leaving_early() -> None:
    secret, digest = new_key()
    keys = Keys([{"name": "ann", "sha256": digest, "budget": 1.0}])
    long = ScriptedModel("word " * 200, name="small", delay=20, price=Price(0, 1e6))
    with running({"small": ScriptedModel("a b", name="small", price=Price(0, 5e4))}, keys=keys) as gateway:
        bearer = {"authorization": f"Bearer {secret}"}
        body = {"model": "small", "messages": [{"role": "user", "content": "x"}]}
        gateway.post("chat/completions", body, **bearer)  # shows what a token costs
        before = keys.ledger.spent("ann", "ever")
        gateway.gateway.models["small"] = long
        with gateway.client.stream("POST", "/v1/chat/completions", json=body | {"stream": True}, headers=bearer) as it:
            for number, _ in enumerate(it.iter_lines()):
                if number > 12:
                    break
        assert until(lambda: long.cancelled == 1)
        assert until(lambda: keys.ledger.spent("ann", "ever") > before > 0)


def test_an_answer_that_was_sent_whole_is_no_cancelled_one() -> None:
    log = Kept()
    with running({"small": ScriptedModel("x", name="small")}, log=log) as gateway:
        for _ in range(20):
            with asked(gateway) as client:
                assert client.recv(4096).startswith(b"HTTP/1.1 200")
        assert until(lambda: len(log.records) == 20)
    assert {served.status for served in log.records} == {200}


def test_a_slow_reader_holds_up_nobody_else() -> None:
    models: dict[str, Model] = {
        "long": ScriptedModel("word " * 60_000, name="long"),
        "small": ScriptedModel("x", name="small"),
    }
    with running(models, Settings(timeout=5)) as gateway, asked(gateway, model="long", stream=True) as slow:
        assert until(lambda: gateway.gateway.in_flight == 1)
        begun = time.monotonic()
        assert gateway.chat("x").status_code == 200
        assert time.monotonic() - begun < 2
        slow.close()
