"""A provider's batch API, served for real (uvicorn, Starlette) on 127.0.0.1, that goes wrong as it is told to."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pilotfish.model import Request as Asked
from pilotfish.models.batch import BatchModel

Json = dict[str, Any]
Fault = Callable[[], Response | None]  # None: do it, and then answer what `after` says


def said(body: Json) -> str:
    """The text of the answer to a request: its prompt, once more."""
    return f"echo {body['messages'][-1]['content']}"


def chat(body: Json) -> Json:
    """A whole answer: five tokens in, two out."""
    choice = {"index": 0, "message": {"role": "assistant", "content": said(body)}, "finish_reason": "stop"}
    return {"id": "c", "choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}


def failing(status: int, message: str = "no", **headers: str) -> Response:
    """An error as OpenAI sends it."""
    return JSONResponse({"error": {"message": message}}, status, headers)


class FakeBatches:
    """A batch provider. Use as `with FakeBatches() as provider: provider.url`.

    Attributes:
        way: the statuses that a batch has on its way, one a look, before its end.
        ends: how the batches end, in the order in which they are made; "completed" where nothing is left here.
        answer: (status, body) of a request.
        edit: changes the lines of (output, errors) before they are stored.
        faults: by route ("upload", "create", "list", "get", "cancel", "content"): answers to give in its place, in
            order; None does what is asked.
        lost: by route: how many answers are lost after the thing was done.
        slow: by route: seconds before and after it is done.
        room: the most requests that the queue takes in all; more, and a batch fails for its tokens.
        key: where set, every other key gets a 401.
        metadata: whether a batch keeps what it was given as metadata.
        batches, files: what there is, by id.
        asked: custom_id -> in how many batches it was.
        seen: (route, headers) of each request.
    """

    def __init__(self, *, key: str | None = None, way: tuple[str, ...] = ("validating", "in_progress", "finalizing")):
        self.key, self.way = key, way
        self.ends: deque[str] = deque()
        self.answer: Callable[[Json], tuple[int, Json]] = lambda body: (200, chat(body))
        self.edit: Callable[[list[Any], list[Any]], tuple[list[Any], list[Any]]] = lambda out, bad: (out, bad)
        self.faults: dict[str, deque[Response | None]] = {}
        self.lost: Counter[str] = Counter()
        self.slow: dict[str, float] = {}
        self.room: int | None = None
        self.metadata = True
        self.hurried = False
        self.batches: dict[str, Json] = {}
        self.files: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.port = 0
        routes = [
            Route("/v1/files", self._on("upload", self._upload), methods=["POST"]),
            Route("/v1/batches", self._on("create", self._create), methods=["POST"]),
            Route("/v1/batches", self._on("list", self._list), methods=["GET"]),
            Route("/v1/batches/{id}", self._on("get", self._get), methods=["GET"]),
            Route("/v1/batches/{id}/cancel", self._on("cancel", self._cancel), methods=["POST"]),
            Route("/v1/files/{id}/content", self._on("content", self._content), methods=["GET"]),
        ]
        config = uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=0, log_level="critical", workers=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    @property
    def url(self) -> str:
        """The base URL, with `/v1`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        end = time.monotonic() + 10
        while not self._server.started and time.monotonic() < end:
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)

    def fail(self, route: str, *answers: Response | None) -> None:
        """Give these answers at a route, in order."""
        self.faults.setdefault(route, deque()).extend(answers)

    def hurry(self) -> None:
        """End every batch at the next look, those to come too."""
        self.hurried = True
        for batch in self.batches.values():
            batch["looks"] = len(self.way)

    def count(self, route: str) -> int:
        """How often a route was asked."""
        return sum(seen == route for seen, _ in self.seen)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 10.0) -> bool:
        """Wait until the condition holds; return whether it did."""
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            time.sleep(0.005)
        return condition()

    def _on(self, route: str, do: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            body = await request.body()
            self.seen.append((route, dict(request.headers)))
            if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
                return failing(401, f"Incorrect API key provided: {request.headers.get('authorization', '')}")
            faults = self.faults.get(route)
            fault = faults.popleft() if faults else None
            if fault is not None:
                return fault
            await asyncio.sleep(self.slow.get(route, 0))
            request.state.raw = body
            answer: Response = do(request)
            await asyncio.sleep(self.slow.get(route, 0))
            if self.lost[route] > 0:
                self.lost[route] -= 1
                return failing(502, "bad gateway")
            return answer

        return handle

    def _upload(self, request: Request) -> Response:
        boundary = b"--" + request.headers["content-type"].partition("boundary=")[2].encode()
        parts = [part.partition(b"\r\n\r\n") for part in request.state.raw.split(boundary) if b"\r\n\r\n" in part]
        fields = {head.partition(b'name="')[2].partition(b'"')[0].decode(): body[:-2] for head, _, body in parts}
        assert fields["purpose"] == b"batch"
        name = f"file-{len(self.files)}"
        self.files[name] = fields["file"]
        return JSONResponse({"id": name, "object": "file", "purpose": "batch"})

    def _create(self, request: Request) -> Response:
        asked = json.loads(request.state.raw)
        lines = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        name = f"batch_{len(self.batches)}"
        waiting = sum(len(one["lines"]) for one in self.batches.values() if one["status"] in self.way)
        end = self.ends.popleft() if self.ends else "completed"
        if self.room is not None and waiting + len(lines) > self.room:
            end = "crowded"
        else:
            self.asked.update(line["custom_id"] for line in lines)
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "status": self.way[0] if self.way else "validating",
            "input_file_id": asked["input_file_id"],
            "endpoint": asked["endpoint"],
            "completion_window": asked["completion_window"],
            "output_file_id": None,
            "error_file_id": "",
            "errors": None,
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
            "created_at": time.time(),
            "metadata": asked["metadata"] if self.metadata else None,
            "lines": lines,
            "end": end,
            "looks": len(self.way) if self.hurried else 0,
        }
        return self._shown(name)

    def _list(self, request: Request) -> Response:
        names = list(reversed(self.batches))
        after = request.query_params.get("after")
        names = names[names.index(after) + 1 :] if after else names
        page = names[: min(2, int(request.query_params["limit"]))]
        shown = [json.loads(bytes(self._shown(name).body)) for name in page]
        return JSONResponse({"object": "list", "data": shown, "has_more": len(names) > len(page)})

    def _get(self, request: Request) -> Response:
        batch = self.batches.get(request.path_params["id"])
        if batch is None:
            return failing(404, "No batch found")
        batch["looks"] += 1
        if batch["status"] == "cancelling":
            self._end(batch, "cancelled")
        elif batch["status"] in (*self.way, "validating"):
            if batch["looks"] < len(self.way):
                batch["status"] = self.way[batch["looks"]]
                batch["request_counts"]["completed"] = len(batch["lines"]) // 2
            else:
                self._end(batch, batch["end"])
        return self._shown(batch["id"])

    def _cancel(self, request: Request) -> Response:
        batch = self.batches[request.path_params["id"]]
        batch["status"] = "cancelling"
        return self._shown(batch["id"])

    def _content(self, request: Request) -> Response:
        held = self.files.get(request.path_params["id"])
        return failing(404, "No such file") if held is None else Response(held, media_type="application/octet-stream")

    def _end(self, batch: Json, end: str) -> None:
        batch["status"] = "failed" if end in ("crowded", "blamed") else end
        if end in ("failed", "crowded", "blamed"):
            errors = {
                "failed": {"code": "billing_hard_limit_reached", "message": "Billing hard limit reached", "line": None},
                "blamed": {"code": "invalid_request", "message": "Bad line", "line": 1},
                "crowded": {"code": "token_limit_exceeded", "message": "Enqueued token limit reached", "line": None},
            }
            batch["errors"] = {"object": "list", "data": [errors[end]]}
            return
        out: list[Any] = []
        bad: list[Any] = []
        for place, line in enumerate(batch["lines"]):
            told: Json = {"id": f"r{place}", "custom_id": line["custom_id"], "response": None, "error": None}
            if end in ("expired", "cancelled") and place >= (len(batch["lines"]) + 1) // 2:
                told["error"] = {"code": f"batch_{end}", "message": f"This request was not done: {end}"}
                bad.append(told)
                continue
            status, body = self.answer(line["body"])
            told["response"] = {"status_code": status, "request_id": "q", "body": body}
            (out if status == 200 else bad).append(told)
        out, bad = self.edit(out, bad)
        for key, lines in (("output_file_id", out), ("error_file_id", bad)):
            if lines:
                name = f"file-{len(self.files)}"
                texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
                self.files[name] = ("\n".join(texts) + "\n").encode()
                batch[key] = name
        batch["request_counts"].update(completed=len(out), failed=len(bad))

    def _shown(self, name: str) -> JSONResponse:
        return JSONResponse({k: v for k, v in self.batches[name].items() if k not in ("lines", "end", "looks")})


def batch_model(provider: FakeBatches, folder: Path, **settings: Any) -> BatchModel:
    """A model at the provider that waits for milliseconds where others wait for minutes."""
    quick: dict[str, Any] = {"key_env": None, "gather": 0.05, "poll": 0.01, "settle": 0.1, "progress": False}
    quick |= {"timeout": 5.0, "longest_wait": 0.02}
    return BatchModel("tiny", **{"base_url": provider.url, "folder": folder, **quick, **settings})


def prompts(count: int, start: int = 0) -> list[Asked]:
    """Requests that differ: "n0", "n1", …"""
    return [Asked.of(f"n{i}", max_tokens=4) for i in range(start, start + count)]
