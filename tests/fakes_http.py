"""A real HTTP/1.1 server on 127.0.0.1 that speaks the OpenAI API by a script; stdlib only, one thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

from tests import fakes_answers as answers
from tests.fakes_answers import Answer, Body


@dataclass(frozen=True)
class Seen:
    """One request as it came: `headers` have lower-case names; the key is in them."""

    method: str
    path: str
    headers: dict[str, str]
    body: Body
    at: float

    @property
    def prompt(self) -> str:
        """The last user turn, or the completions prompt."""
        return answers.prompt_of(self.body)


Script = Answer | Iterable[Answer] | Callable[[Seen], Answer]


class ScriptedUpstream:
    """An OpenAI-compatible endpoint that does what `script` says.

    `script`: one answer for every request, answers to give in order (then `then` for the rest), or a function of the
    request. `key`: where set, every other key gets a 401. Use as `with ScriptedUpstream(…) as upstream: upstream.url`.

    Attributes:
        seen: the requests, in order (the last `keep` of them).
        calls: how many model calls came; `prompts`: how many for each prompt.
        active, peak: calls being answered now, and the most at one time.
        aborted: answers during which the client hung up.
        connections: TCP connections accepted.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        then: Answer | None = None,
        key: str | None = None,
        port: int = 0,
        keep: int = 100_000,
    ) -> None:
        self._then = then or Answer()
        self._function: Callable[[Seen], Answer] | None = None
        self._queue: deque[Answer] = deque()
        if isinstance(script, Answer):
            self._then = script
        elif callable(script):
            self._function = script
        elif script is not None:
            self._queue.extend(script)
        self.key = key
        self.seen: deque[Seen] = deque(maxlen=keep)
        self.prompts: Counter[str] = Counter()
        self.calls = self.active = self.peak = self.aborted = self.connections = 0
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()
        self._thread = threading.Thread(target=self._run, name="scripted-upstream", daemon=True)
        self._ready = threading.Event()
        self._failure: OSError | None = None

    @property
    def url(self) -> str:
        """The base URL, with `/v1`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; the port is known when this returns."""
        self._thread.start()
        self._ready.wait(10)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Close every connection and the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 5.0) -> bool:
        """Wait until the condition holds, e.g. `lambda: upstream.aborted == 1`; return whether it did."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            time.sleep(0.005)
        return condition()

    def next_answer(self, seen: Seen) -> Answer:
        """Return what the script has for this request."""
        if self._function is not None:
            return self._function(seen)
        return self._queue.popleft() if self._queue else self._then

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._server = self._loop.run_until_complete(
                self._loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024)
            )
            self.port = self._server.sockets[0].getsockname()[1]
        except OSError as error:
            self._failure = error
        self._ready.set()
        if self._server is not None:
            self._loop.run_forever()
            self._server.close()
            for connection in list(self._open):
                connection.abort()
            self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()


class _Connection(asyncio.Protocol):
    """One keep-alive connection: parses requests, answers them one after another."""

    def __init__(self, upstream: ScriptedUpstream) -> None:
        self.upstream = upstream
        self.buffer = bytearray()
        self.task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.upstream.connections += 1
        self.upstream._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.upstream._open.discard(self)
        if self.task is not None:
            self.upstream.aborted += 1
            self.task.cancel()

    def abort(self) -> None:
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.pump()

    def pump(self) -> None:
        """Answer every whole request in the buffer, unless one is still being answered."""
        while self.task is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            lines = self.buffer[:end].decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            stop = end + 4 + int(headers.get("content-length") or 0)
            if len(self.buffer) < stop:
                return
            raw = bytes(self.buffer[end + 4 : stop])
            del self.buffer[:stop]
            method, path, _ = lines[0].split(" ", 2)
            body = json.loads(raw) if raw else {}
            self.answer(Seen(method, path.partition("?")[0], headers, body, time.monotonic()))

    def answer(self, seen: Seen) -> None:
        upstream = self.upstream
        route = seen.path.removeprefix("/v1")
        if route == "/_calls":
            self.send_json({"calls": upstream.calls, "prompts": dict(upstream.prompts), "peak": upstream.peak})
            return
        upstream.seen.append(seen)
        if route in ("/chat/completions", "/completions"):
            upstream.calls += 1
            upstream.prompts[seen.prompt] += 1
        if upstream.key is not None and seen.headers.get("authorization") != f"Bearer {upstream.key}":
            self.send(answers.failing(401, "Incorrect API key provided"), b"")
            return
        upstream.active += 1
        upstream.peak = max(upstream.peak, upstream.active)
        answer = upstream.next_answer(seen)
        if answer.at_once:
            self.send(answer, b"".join(self.parts(answer, seen)), stream=_streams(answer, seen))
            upstream.active -= 1
            return
        self.task = upstream._loop.create_task(self.act(answer, seen))
        self.task.add_done_callback(self.finished)

    def finished(self, task: asyncio.Task[None]) -> None:
        self.upstream.active -= 1
        self.task = None
        if not task.cancelled():
            task.result()
            self.pump()

    def parts(self, answer: Answer, seen: Seen) -> list[bytes]:
        route = seen.path.removeprefix("/v1")
        if answer.raw is not None:
            return [answer.raw]
        if route == "/embeddings":
            return [json.dumps(answers.embeddings(seen.body)).encode()]
        if route == "/models":
            return [json.dumps({"object": "list", "data": [{"id": "scripted", "object": "model"}]}).encode()]
        chat = route == "/chat/completions"
        if _streams(answer, seen):
            return answers.sse(answer, seen.body, chat)
        return [json.dumps(answers.whole(answer, seen.body, chat), ensure_ascii=False).encode()]

    async def act(self, answer: Answer, seen: Seen) -> None:
        """Give an answer that takes time or goes wrong on the way."""
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.hang:
            await asyncio.Event().wait()
        stream = _streams(answer, seen)
        parts = self.parts(answer, seen)
        whole = b"".join(parts)
        self.transport.write(_head(answer, len(whole), stream))
        if answer.drop_after is not None:
            kept = b"".join(parts[: answer.drop_after]) if stream else whole[: len(whole) // 2]
            self.transport.write(_chunk(kept) if stream and kept else kept)
            await asyncio.sleep(0.02)  # let the bytes leave before the connection does
            self.task = None  # the server hangs up, not the client
            self.upstream.active -= 1
            asyncio.current_task().remove_done_callback(self.finished)  # type: ignore[union-attr]
            self.transport.abort()
            return
        if answer.write_bytes or (answer.drip and not stream):
            size = answer.write_bytes or 1
            parts = [whole[at : at + size] for at in range(0, len(whole), size)]
        for part in parts:
            await asyncio.sleep(answer.drip)
            self.transport.write(_chunk(part) if stream else part)
        if stream:
            self.transport.write(b"0\r\n\r\n")

    def send_json(self, data: Any) -> None:
        self.send(Answer(), json.dumps(data).encode())

    def send(self, answer: Answer, body: bytes, stream: bool = False) -> None:
        body = answer.raw if answer.raw is not None else body
        self.transport.write(_head(answer, len(body), stream) + (_chunk(body) + b"0\r\n\r\n" if stream else body))


def _streams(answer: Answer, seen: Seen) -> bool:
    return answer.raw is None and bool(seen.body.get("stream")) and seen.path.endswith("completions")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


def _head(answer: Answer, length: int, stream: bool) -> bytes:
    kind = answer.content_type or ("text/event-stream; charset=utf-8" if stream else "application/json")
    size = "Transfer-Encoding: chunked" if stream else f"Content-Length: {length}"
    more = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    return f"HTTP/1.1 {answer.status} scripted\r\nContent-Type: {kind}\r\n{size}\r\n{more}\r\n".encode()
