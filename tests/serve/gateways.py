"""A gateway behind a real socket, in a thread of its own, and bare HTTP to ask it with.

Starting and stopping takes a quarter of a second, so most tests share one server, whose models and settings change.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from pilotfish.model import Model
from pilotfish.serve._metrics import Metrics
from pilotfish.serve._server import Server, bind
from pilotfish.serve.app import Gateway, create_app
from pilotfish.serve.keys import Keys
from pilotfish.serve.settings import Settings

__all__ = ["Running", "events", "running", "started", "until"]


class Running:
    """A gateway that runs; `url` ends without `/v1`."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        self.gateway = gateway
        self.server = Server(gateway, settings)
        self._socket = bind("127.0.0.1", 0)
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self._socket]}, name="gateway", daemon=True
        )
        self.client = httpx.Client(base_url=self.url, timeout=20)

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Return the answer to a body, sent as JSON."""
        return self.client.post(f"/v1/{path}", json=body, headers=headers)

    def chat(self, prompt: str, model: str = "small", **fields: Any) -> httpx.Response:
        """Return the answer to a chat of one turn."""
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], **fields}
        return self.post("chat/completions", body)

    def metrics(self) -> dict[str, float]:
        """Return the metrics by their whole names, labels and all."""
        lines = self.client.get("/metrics").text.splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name[0] != "#"}


_shared: list[Running] = []


@contextmanager
def running(
    models: Mapping[str, Model],
    settings: Settings | None = None,
    *,
    encoders: Mapping[str, Any] | None = None,
    keys: Keys | None = None,
    answers: Any = None,
    log: Any = None,
    traces: Any = None,
) -> Iterator[Running]:
    """Give the shared gateway these parts as long as the block lasts."""
    if not _shared:
        it = Running(create_app({}), Settings())
        it.thread.start()
        assert until(lambda: it.server.started)
        _shared.append(it)
    gateway = _shared[0].gateway
    gateway.models, gateway.encoders = dict(models), dict(encoders or {})
    gateway.settings, gateway.keys = settings or Settings(), keys or Keys()
    gateway.rates = {}
    gateway.answers, gateway.log, gateway.traces, gateway.metrics = answers, log, traces, Metrics()
    yield _shared[0]
    assert until(lambda: gateway.in_flight == 0)


@contextmanager
def started(models: Mapping[str, Model], settings: Settings | None = None, **more: Any) -> Iterator[Running]:
    """Run a gateway of one's own as long as the block lasts."""
    settings = settings or Settings(grace=2)
    it = Running(create_app(models, settings, **more), settings)
    it.thread.start()
    try:
        assert until(lambda: it.server.started)
        yield it
    finally:
        it.client.close()
        it.server.handle_exit(15, None)
        it.thread.join(10)
        assert not it.thread.is_alive()


def until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Wait until a condition holds; return whether it did."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.005)
    return condition()


def events(response: httpx.Response) -> list[Any]:
    """Return the data of a stream's events; the last one of a whole stream is "[DONE]"."""
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]
