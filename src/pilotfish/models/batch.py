"""A model behind a provider's batch API: half the price at most of them, the answers within a day."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from pilotfish._home import home
from pilotfish.errors import ConfigError, ModelError, UpstreamError
from pilotfish.model import Price, Reply, Request, Trace, WholeReplies
from pilotfish.models._batch_clerk import Answer
from pilotfish.models._batch_desks import answered, close_idle, finished
from pilotfish.models._batch_list import BatchState, cancelled, listed
from pilotfish.models._batch_settings import Settings
from pilotfish.models._http_base import below, checked_url
from pilotfish.models._http_errors import safe_url
from pilotfish.models._http_exchange import header_lines
from pilotfish.models._http_json import dumps, loads
from pilotfish.models._http_wire import PATHS, Api, Assembly, body_of, check_api, hash_of, traced

__all__ = ["BatchModel", "default_folder"]


@dataclass(eq=False)
class BatchModel(WholeReplies):
    """A model whose requests go together through an OpenAI-compatible batch API.

    `reply` puts the request into the batch that is being gathered, and waits. The batch is sent when nobody has added
    to it for `gather` seconds, or when it is full. So ask as much as there is at once: whatever runs rows asks as much
    as `concurrency` says, which here is more than a batch.

    Nothing is paid for twice. Each batch is noted in the folder before it is sent, its answers as they are read. After
    `kill -9` at any moment, the same questions get the answers that are there, wait for the batch that is under way, or
    are asked if they never were. Of one folder there is one process at a time. A stopped wait (Ctrl-C) leaves the batch
    with the provider, which goes on with it and charges for it; `pilotfish batches cancel` stops it.

    As with a remote model, the key is read from `key_env` when something is sent and stands in no file; for k samples
    of one request, set `metadata={"sample": i}`. Works in any number of event loops and threads of a process. An answer
    that was given before costs nothing; its call says so. Prompts stand in the folder only while their file is sent.

    Attributes:
        model: the model's name at the endpoint.
        base_url: up to and without `/batches`; a query such as `?api-version=…` is kept.
        folder: of the journal; under Pilotfish's own folder, by endpoint and model, where None.
        api: "chat" or "completions" (messages joined by blank lines as the prompt).
        key_env: the environment variable that holds the key; None sends none.
        key_header: the header that carries the key: `Bearer` in Authorization, the bare key in any other.
        price: US dollars per million tokens in a batch (providers' discounts differ; none is guessed); None where not
            known.
        window: how long the provider may take, in its own words.
        gather: seconds without another request after which a batch is sent.
        poll: seconds between two looks at a batch at first; they come to be six times as long.
        concurrency: how many requests those who run rows put in before they wait; the bodies of all are in memory.
        most_requests: of one batch.
        most_bytes: of one batch's file.
        timeout: seconds for a short answer, or for a file to move on.
        connect_timeout: seconds to connect.
        deadline: seconds that the endpoint may fail for, all attempts and pauses together, before waiting ends.
        retries: further attempts to send after the first.
        longest_wait: seconds; a longer `Retry-After` is cut to this.
        settle: seconds after which a batch that is not in the provider's list was not made.
        headers: further headers, not for secrets.
        extra: further body fields for every request; a request's own fields win.
        limit_field: how this endpoint calls `max_tokens`.
        max_bytes: the longest answer that is read.
        progress: tell on standard error how the batches stand.
        name: what traces show; the model's name where empty.

    Raises:
        ConfigError: a setting is wrong.
    """

    model: str
    base_url: str = "https://api.openai.com/v1"
    _: KW_ONLY
    folder: Path | str | None = None
    api: Api = "chat"
    key_env: str | None = "OPENAI_API_KEY"
    key_header: str = "Authorization"
    price: Price | None = None
    window: str = "24h"
    gather: float = 2.0
    poll: float = 10.0
    concurrency: int = 100_000
    most_requests: int = 50_000
    most_bytes: int = 200_000_000
    timeout: float = 60.0
    connect_timeout: float = 10.0
    deadline: float = 600.0
    retries: int = 4
    longest_wait: float = 60.0
    settle: float = 30.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    limit_field: str = "max_tokens"
    max_bytes: int = 32 << 20
    progress: bool = True
    name: str = ""

    def __post_init__(self) -> None:
        url = checked_url(self.base_url)
        self._check()
        self.name = self.name or self.model
        header_lines(self.headers)
        folder = Path(self.folder) if self.folder is not None else default_folder(self.base_url, self.model)
        self._asked = below(url, PATHS[self.api])
        self.settings = Settings(
            folder=folder.expanduser().absolute(),
            base=str(url),
            url=f"/v1{PATHS[self.api]}",
            headers=tuple(sorted(self.headers.items())),
            **{name: getattr(self, name) for name in _SHARED},
        )

    async def reply(self, request: Request) -> Reply:
        """Wait for the answer: hours, where it is not there yet.

        Raises:
            ModelError: the provider refuses this very request, or it asks what this endpoint's form cannot carry.
            UpstreamError: the batch expired, failed, was cancelled, or lacks this request; the endpoint cannot be
                asked. Another try asks again, or goes on waiting.
            ConfigError: another process, or another model with other settings, has the folder.
            DataError: the journal cannot be used.
        """
        body = body_of(request, self.model, self.api, self.extra, self.limit_field)
        key = hash_of(str(self._asked), self.api, body, request)
        line = dumps({"custom_id": key.hex(), "method": "POST", "url": self.settings.url, "body": body}) + b"\n"
        if len(line) > self.most_bytes:
            raise ModelError(
                f"{self.name}: a request of {len(line)} bytes is more than a batch takes ({self.most_bytes})"
            )
        start = time.perf_counter()
        answer = await answered(self.settings, key, line)
        return self._read(answer, bool(body.get("logprobs")), time.perf_counter() - start)

    async def batches(self) -> list[BatchState]:
        """Return the batches of the folder, oldest first, those under way as the provider tells of them now.

        Raises:
            UpstreamError: the provider cannot be asked.
            DataError: the journal cannot be used.
        """
        return await listed(self.settings, self.price)

    async def finish(self) -> None:
        """Wait until every batch of the folder has ended, and take its answers into the journal.

        Raises:
            UpstreamError, ConfigError, DataError: as in `reply`.
        """
        await finished(self.settings)

    async def cancel(self, *ids: str) -> list[str]:
        """Ask the provider to stop batches, all that are under way where none is named; return their ids.

        What was answered by then is given and charged for; it is taken by the next run.

        Raises:
            ConfigError: no batch of this folder has such an id.
            UpstreamError, DataError: as in `batches`.
        """
        return await cancelled(self.settings, ids)

    async def aclose(self) -> None:
        """Let the folder go, unless another model waits there; the next request takes it again."""
        await asyncio.to_thread(close_idle, self.settings.folder)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _read(self, answer: Answer, logprobs: bool, seconds: float) -> Reply:
        outcome = answer.outcome
        if outcome.fault and outcome.again:
            raise UpstreamError(outcome.fault, status=outcome.status)
        if outcome.fault:
            raise ModelError(outcome.fault)
        assembly = Assembly(safe_url(self._asked), logprobs)
        assembly.add(loads(outcome.body))
        reply = traced(assembly, self.name, self.price, seconds)
        if not answer.free:
            return reply
        (call,) = reply.trace.calls
        return reply.with_(trace=Trace((replace(call, cost=0.0, cached=True, why=answer.free),)))

    def _check(self) -> None:
        check_api(self.api)
        for name, least in (("retries", 0), ("concurrency", 1), ("most_requests", 1), ("most_bytes", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be {least} or more, not {getattr(self, name)}")
        for name in ("poll", "timeout", "connect_timeout", "deadline", "longest_wait", "max_bytes"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("gather", "settle"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if not self.window:
            raise ConfigError('window must say how long the provider may take, e.g. "24h"')


_SHARED = (
    *("model", "key_env", "key_header", "window", "gather", "poll", "most_requests", "most_bytes", "timeout"),
    *("connect_timeout", "deadline", "retries", "longest_wait", "max_bytes", "settle", "progress"),
)


def default_folder(base_url: str, model: str) -> Path:
    """Return the folder of a model's batches under Pilotfish's own."""
    words = f"{checked_url(base_url).host}-{model}"
    shown = re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-.")[:60]
    return home() / "batches" / f"{shown}-{hashlib.sha256(f'{base_url} {model}'.encode()).hexdigest()[:8]}"
