"""The scripted upstream of `benchmarks gateway`, a process of its own that does as little as it can.

`python benchmarks/_gateway_upstream.py --latency 0.05` prints its port. Every chat gets the same answer, in one piece
or as a stream of events in one write each; the bytes are made once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from typing import Any

TEXT = "The pilot fish swims with the shark, and each lives the better for it."


def whole() -> bytes:
    """Return the whole answer, head and all."""
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    usage = {"prompt_tokens": 12, "completion_tokens": 15, "total_tokens": 27}
    data = {
        "id": "up-1",
        "object": "chat.completion",
        "created": 1,
        "model": "tiny",
        "choices": [choice],
        "usage": usage,
    }
    body = json.dumps(data).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def streamed() -> list[bytes]:
    """Return the stream: its head with the first event, and a write for each further one."""
    words = TEXT.split(" ")
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": word if i == 0 else f" {word}"}, None) for i, word in enumerate(words)]
    deltas.append(({}, "stop"))
    base = {"id": "up-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny"}
    rows = [base | {"choices": [{"index": 0, "delta": d, "finish_reason": f}]} for d, f in deltas]
    rows.append(base | {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 15, "total_tokens": 27}})
    events = [b"data: %s\n\n" % json.dumps(row).encode() for row in rows] + [b"data: [DONE]\n\n"]
    chunks = [b"%x\r\n%s\r\n" % (len(event), event) for event in events]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return [head + chunks[0], *chunks[1:-1], chunks[-1] + b"0\r\n\r\n"]


class Upstream(asyncio.Protocol):
    """One connection, one request at a time."""

    latency = 0.0
    whole = whole()
    streamed = streamed()

    def __init__(self) -> None:
        self.buffer = b""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer once the request is whole."""
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        at = head.find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.buffer) < end + 4 + size:
            return
        body, self.buffer = self.buffer[end + 4 :], b""
        streams = b'"stream":true' in body or b'"stream": true' in body
        answer = self.stream if streams else self.at_once
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, answer)
        else:
            answer()

    def at_once(self) -> None:
        """Send the whole answer."""
        self.transport.write(self.whole)

    def stream(self, index: int = 0) -> None:
        """Send the stream, an event each time the loop comes round."""
        if self.transport.is_closing():
            return
        self.transport.write(self.streamed[index])
        if index + 1 < len(self.streamed):
            asyncio.get_running_loop().call_soon(self.stream, index + 1)


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    options = parser.parse_args()
    Upstream.latency = options.latency
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(options.port))
