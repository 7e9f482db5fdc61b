"""What can go wrong between us and an endpoint, as one clear line each, without the key in it."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from pilotfish.errors import UpstreamError

if TYPE_CHECKING:
    from pilotfish.models._http_client import Response

__all__ = ["AttemptError", "http_fault", "retry_after", "safe_url", "status_fault", "tidy"]

# 408 request timeout, 409 conflict (a lock that the endpoint asks to retry), 425 too early, 429 rate limit.
_RETRIED = frozenset({408, 409, 425, 429})


class AttemptError(Exception):
    """One failed attempt: never leaves this package; `error()` is what the caller sees.

    Attributes:
        retry: whether another attempt may help.
        status: the HTTP status, or None where no response came.
        retry_after: seconds the endpoint asked us to wait, or None.
    """

    def __init__(
        self, message: str, *, retry: bool = False, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.retry, self.status, self.retry_after = retry, status, retry_after

    def error(self, attempts: int = 1) -> UpstreamError:
        """Return the error for the caller; it says so where several attempts failed."""
        tried = f" ({attempts} attempts)" if attempts > 1 else ""
        return UpstreamError(f"{self}{tried}", status=self.status, retry_after=self.retry_after)


def safe_url(url: str | httpx.URL) -> str:
    """Return scheme, host, port and path: what is fit to show. User names and queries may hold secrets."""
    parts = urlsplit(str(url))
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{shown}{port}{parts.path}"


def tidy(text: str, limit: int = 200) -> str:
    """Return the text on one line, without control characters, cut to `limit` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds that `Retry-After` (seconds or HTTP date) or `Retry-After-Ms` asks for; None where absent.

    Source: RFC 9110, section 10.2.3. A date in the past is 0.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - (time.time() if now is None else now))


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else -1.0
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def detail(body: str) -> str:
    """Return the endpoint's own words about its error: OpenAI's form, the forms of its imitators, or plain text."""
    try:
        data: Any = json.loads(body)
    except ValueError:
        return "" if body.lstrip().startswith("<") else tidy(body)
    for name in ("error", "detail", "message"):
        if isinstance(data, Mapping) and name in data:
            data = data[name]
    return tidy(data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)) if data else ""


def status_fault(url: str, model: str, response: Response, body: str, key: str) -> AttemptError:
    """Return the fault for a response that is no answer.

    `key` says which key was sent: "the key in $NAME", or what to set where none was.
    """
    status, headers = response.status_code, response.headers
    said = detail(body)
    said = f": {said}" if said else ""
    if status in (401, 403):
        return AttemptError(f"{url} refused {key} (status {status}){said}", status=status)
    if 300 <= status < 400:
        target = headers.get("location", "")
        where = safe_url(httpx.URL(url).join(target)) if target else "nowhere"
        return AttemptError(f"{url} redirects to {where}, which is not followed; set base_url to it", status=status)
    if status == 404:
        return AttemptError(f"{url} answered 404: check base_url and the model name {model!r}{said}", status=status)
    retry = status in _RETRIED or status >= 500
    return AttemptError(f"{url} answered {status}{said}", retry=retry, status=status, retry_after=retry_after(headers))


def http_fault(url: str, error: httpx.HTTPError | httpx.InvalidURL, timeout: float) -> AttemptError:
    """Return the fault for a connection that failed or broke off."""
    if isinstance(error, httpx.ConnectTimeout):
        return AttemptError(
            f"{url} cannot be reached: no connection in time; check base_url and the network", retry=True
        )
    if isinstance(error, httpx.TimeoutException):
        return AttemptError(
            f"{url} gave no answer within {timeout:g} s; raise `timeout` if it needs longer", retry=True
        )
    if isinstance(error, httpx.ConnectError):
        return AttemptError(f"{url} cannot be reached: {tidy(str(error))}; check base_url and the network", retry=True)
    if isinstance(error, httpx.ProxyError):
        return AttemptError(f"{url} cannot be reached through the proxy: {tidy(str(error))}", retry=True)
    if isinstance(error, httpx.RemoteProtocolError | httpx.NetworkError):
        return AttemptError(f"{url} dropped the connection before the answer was whole", retry=True)
    return AttemptError(f"{url} cannot be asked: {type(error).__name__}")
