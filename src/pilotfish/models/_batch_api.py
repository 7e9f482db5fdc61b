"""The calls of a provider's batch API: files up and down, batches made, looked at, listed, cancelled.

Source: the OpenAI API reference, "Files" and "Batch".
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from pilotfish.models._batch_form import OURS, Status
from pilotfish.models._batch_settings import Settings
from pilotfish.models._http import Clock, KeyFrom, _tls, retrying
from pilotfish.models._http_base import below, is_near
from pilotfish.models._http_errors import AttemptError, http_fault, safe_url, status_fault
from pilotfish.models._http_json import loads

__all__ = ["BatchApi"]

T = TypeVar("T")
_MOST_ERROR = 1 << 16
_MOST_JSON = 16 << 20
_PAGE, _PAGES = 100, 200
_DAY = 86400.0
_LOG = logging.getLogger("pilotfish.remote")


class BatchApi:
    """A client for one event loop; use it as `async with`. Every call of it is one attempt; see `patiently`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.base = httpx.URL(settings.base)
        self.shown = safe_url(below(self.base, "/batches"))
        self._key = KeyFrom(settings.key_env, settings.key_header)

    async def __aenter__(self) -> Self:
        times = httpx.Timeout(self.settings.timeout, connect=self.settings.connect_timeout, pool=None)
        # `identity`: a small file may inflate without end.
        headers = {"User-Agent": "pilotfish", **dict(self.settings.headers), "Accept-Encoding": "identity"}
        # A proxy that the environment names is for other hosts only.
        self._client = httpx.AsyncClient(
            timeout=times, headers=headers, verify=_tls(), trust_env=not is_near(self.base)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def patiently(self, once: Callable[[], Awaitable[T]], *, steadily: bool = False) -> T:
        """Return what a call gives, tried again as a remote model's requests are.

        `steadily` tries until the deadline: who has waited for hours is not to stop for a bad minute.

        Raises:
            UpstreamError: no attempt succeeded.
        """
        settings = self.settings
        clock = Clock(self.shown, settings.deadline)

        async def timed() -> T:
            start = time.monotonic()
            try:
                return await once()
            finally:
                # A file may take longer than `timeout` as long as it moves; that is not waiting.
                clock.left -= min(time.monotonic() - start, settings.timeout)

        return (await retrying(timed, clock, 1000 if steadily else settings.retries, settings.longest_wait))[0]

    async def upload(self, path: Path) -> str:
        """Send a file of requests, and return its id.

        Raises:
            AttemptError: it did not arrive.
        """
        url = below(self.base, "/files")
        with path.open("rb") as file:
            parts = {"file": (path.name, file, "application/jsonl")}
            data = await self._json("POST", url, files=parts, data={"purpose": "batch"})
        if not isinstance(data, dict) or not data.get("id"):
            raise AttemptError(f"{safe_url(url)} sent JSON that is no file: it has no id", status=200)
        return str(data["id"])

    async def create(self, file: str, ours: str) -> Status:
        """Make a batch of an uploaded file; `ours` goes into its metadata.

        Raises:
            AttemptError: it was not made, or that is not known.
        """
        settings = self.settings
        body = {
            "input_file_id": file,
            "endpoint": settings.url,
            "completion_window": settings.window,
            "metadata": {OURS: ours},
        }
        return await self._status("POST", below(self.base, "/batches"), json=body)

    async def get(self, batch: str) -> Status:
        """Return how a batch stands.

        Raises:
            AttemptError: it cannot be told.
        """
        return await self._status("GET", below(self.base, f"/batches/{quote(batch, safe='')}"))

    async def cancel(self, batch: str) -> Status:
        """Ask for a batch to be stopped; it may go on for minutes, and what is done is still given.

        Raises:
            AttemptError: it was not taken.
        """
        return await self._status("POST", below(self.base, f"/batches/{quote(batch, safe='')}/cancel"), json={})

    async def find(self, ours: str, file: str, since: float) -> Status | None:
        """Return the batch with our id in its metadata, or made of our file; None where the list has no such batch.

        The list has the newest first, so what was made more than a day before `since` ends the search.

        Raises:
            AttemptError: the list cannot be had.
        """
        url, after = below(self.base, "/batches"), ""
        for _ in range(_PAGES):
            asked = url.copy_merge_params({"limit": str(_PAGE), **({"after": after} if after else {})})
            data = await self._json("GET", asked)
            rows = data.get("data") if isinstance(data, dict) else None
            if not isinstance(rows, list):
                raise AttemptError(f"{self.shown} sent JSON that is no list of batches", status=200)
            page = [Status.of(row, self.shown) for row in rows]
            for one in page:
                if one.ours == ours or (not one.ours and file and one.source == file):
                    return one
            if not page or not data.get("has_more") or page[-1].id == after:
                return None
            if page[-1].created is not None and page[-1].created < since - _DAY:
                return None
            after = page[-1].id
        return None

    async def lines(self, file: str) -> AsyncIterator[bytes]:
        """Yield the lines of a file as they come, without empty ones; the key, should it stand there, taken out.

        Raises:
            AttemptError: the file cannot be had, broke off, or has a line without end.
        """
        url = below(self.base, f"/files/{quote(file, safe='')}/content")
        rest = b""
        async with self._open("GET", url) as response:
            async for chunk in response.aiter_bytes():
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    if line.strip():
                        yield self._key.redact_bytes(line)
                if len(rest) > self.settings.max_bytes:
                    raise AttemptError(f"{safe_url(url)} has a line of more than {self.settings.max_bytes} bytes")
        if rest.strip():
            yield self._key.redact_bytes(rest)

    async def _status(self, method: str, url: httpx.URL, **what: Any) -> Status:
        return Status.of(await self._json(method, url, **what), safe_url(url))

    async def _json(self, method: str, url: httpx.URL, **what: Any) -> Any:
        # A file takes as long as it moves; all else is short, and is not to drip in byte by byte.
        limit = None if "files" in what else self.settings.timeout
        try:
            async with asyncio.timeout(limit), self._open(method, url, **what) as response:
                raw = await self._read(response, url, _MOST_JSON)
        except TimeoutError:
            raise AttemptError(f"{safe_url(url)} gave no answer within {limit:g} s", retry=True) from None
        try:
            return loads(self._key.redact_bytes(raw))
        except (ValueError, RecursionError):
            pass
        raise AttemptError(f"{safe_url(url)} sent no JSON: check base_url", status=200)

    @asynccontextmanager
    async def _open(self, method: str, url: httpx.URL, **what: Any) -> AsyncIterator[httpx.Response]:
        """Give a response with status 2xx, its body still to be read.

        Raises:
            AttemptError: there is none.
        """
        shown = safe_url(url)
        self._key.check()
        fault: AttemptError | None = None
        try:
            async with self._client.stream(method, url, auth=self._key, **what) as response:
                _LOG.debug("%s %s: %d", method, shown, response.status_code)
                if response.is_success:
                    yield response
                    return
                fault = await self._refused(response, url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            fault = http_fault(shown, error, self.settings.timeout)
        raise fault

    async def _refused(self, response: httpx.Response, url: httpx.URL) -> AttemptError:
        raw = await self._read(response, url, _MOST_ERROR, cut=True)
        said = self._key.redact(raw.decode("utf-8", "replace"))
        fault = status_fault(safe_url(url), self.settings.model, response, said, self._key.spoken)
        if response.status_code == 404:
            why = "not every endpoint has a batch API, and no key sees another project's batches and files"
            return AttemptError(f"{fault} ({why})", status=404)
        return fault

    async def _read(self, response: httpx.Response, url: httpx.URL, limit: int, *, cut: bool = False) -> bytes:
        raw = bytearray()
        async for chunk in response.aiter_bytes():
            raw += chunk
            if len(raw) > limit:
                if cut:
                    break
                raise AttemptError(f"{safe_url(url)} sent more than {limit} bytes")
        return bytes(raw[:limit])
