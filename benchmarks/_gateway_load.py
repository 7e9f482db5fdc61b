"""The load of `benchmarks gateway`, a process of its own: clients that each ask again as soon as they are answered.

Reads jobs as lines of JSON {port, clients, stream, seconds | requests}, answers each with a line: requests, seconds,
the latencies' quantiles in milliseconds, for streams those of the first byte, and how many answers were wrong. Every
answer is compared with what the upstream says.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from typing import Any

from benchmarks._gateway_upstream import TEXT

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What does the pilot fish do?"}]


def request(port: int, stream: bool) -> bytes:
    """Return the bytes of the one request."""
    data: dict[str, Any] = {"model": "small", "messages": MESSAGES, "temperature": 0.5, "max_tokens": 64}
    if stream:
        data["stream"] = True
    body = json.dumps(data).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Authorization: Bearer sk-bench\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Tally:
    """What came of a job."""

    def __init__(self, seconds: float | None, requests: int | None) -> None:
        self.left = requests if requests is not None else 1 << 60
        self.end = time.perf_counter() + (seconds if seconds is not None else 1e9)
        self.latencies: list[float] = []
        self.first: list[float] = []
        self.wrong = 0
        self.said = ""

    def more(self) -> bool:
        """Take one request; say whether there is one to make."""
        self.left -= 1
        return self.left >= 0 and time.perf_counter() < self.end


class Client(asyncio.Protocol):
    """One keep-alive connection that asks and asks."""

    def __init__(self, raw: bytes, stream: bool, tally: Tally, done: asyncio.Future[None]) -> None:
        self.raw, self.stream, self.tally, self.done = raw, stream, tally, done
        self.buffer = b""
        self.begun = 0.0
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Ask."""
        self.transport = transport
        self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """A server that hangs up before the end has answered wrong."""
        if not self.done.done():
            self.tally.wrong += 1
            self.tally.said = self.buffer[:300].decode("latin-1") or "hung up"
            self.done.set_result(None)

    def ask(self) -> None:
        """Send the request, or end."""
        if not self.tally.more():
            self.done.set_result(None)
            self.transport.close()
            return
        self.buffer = b""
        self.begun = time.perf_counter()
        self.transport.write(self.raw)

    def data_received(self, data: bytes) -> None:
        """Take bytes in; check an answer that is whole, and go on."""
        if self.stream and not self.buffer:
            self.tally.first.append(time.perf_counter() - self.begun)
        self.buffer += data
        if self.stream:
            if not self.buffer.endswith(b"0\r\n\r\n"):
                return
            sound = self.buffer.startswith(b"HTTP/1.1 200") and b"data: [DONE]" in self.buffer
            sound = sound and spoken(self.buffer) == TEXT
        else:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            if at < 0 or len(self.buffer) - end - 4 < int(head[at + 15 :].split(b"\r\n", 1)[0]):
                return
            sound = head.startswith(b"http/1.1 200") and TEXT.encode() in self.buffer
        self.tally.latencies.append(time.perf_counter() - self.begun)
        if not sound:
            self.tally.wrong += 1
            self.tally.said = self.buffer[:600].decode("latin-1")
        self.ask()


def spoken(raw: bytes) -> str:
    """Return the text of a stream; the words are plain, so that the events need not be parsed."""
    parts = []
    for piece in raw.split(b'"content":')[1:]:
        text = piece.lstrip()
        if text.startswith(b'"'):  # not null
            parts.append(text[1 : text.find(b'"', 1)])
    return b"".join(parts).decode()


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Return what came of a job."""
    loop = asyncio.get_running_loop()
    tally = Tally(job.get("seconds"), job.get("requests"))
    raw = request(job["port"], job["stream"])
    ends = [loop.create_future() for _ in range(job["clients"])]
    begun = time.perf_counter()
    for end in ends:
        await loop.create_connection(lambda end=end: Client(raw, job["stream"], tally, end), "127.0.0.1", job["port"])  # type: ignore[misc]
    await asyncio.gather(*ends)
    took = time.perf_counter() - begun
    found = {"requests": len(tally.latencies), "seconds": took, "wrong": tally.wrong, "said": tally.said}
    for name, values in (("latency", tally.latencies), ("first", tally.first)):
        if len(values) > 1:
            marks = statistics.quantiles(values, n=100)
            found[name] = {"p50": 1000 * marks[49], "p99": 1000 * marks[98]}
    return found


async def main() -> None:
    """Do one job a line."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await run(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
