"""One file over HTTP: resumed by ranges, checked against its sha256, renamed into place only when whole."""

from __future__ import annotations

import hashlib
import os
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pilotfish.errors import ModelError
from pilotfish.models._fetch_progress import Advance
from pilotfish.models._fetch_store import clear_errors, digest

if TYPE_CHECKING:
    import httpx

__all__ = ["Remote", "UnauthorisedError", "download"]

_REFUSED = (401, 403, 407)


class UnauthorisedError(ModelError):
    """The server wants credentials that a plain request does not carry."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file elsewhere.

    Attributes:
        url: http, https or file.
        sha256: of the whole file, in hex; None where its index states none.
    """

    url: str
    sha256: str | None = None

    @property
    def filename(self) -> str:
        """The last part of the URL's path."""
        return unquote(urlsplit(self.url).path.rsplit("/", 1)[-1])

    @property
    def shown(self) -> str:
        """File and host for messages, without credentials or query."""
        return f"{self.filename} from {urlsplit(self.url).hostname or 'this machine'}"


def _trust() -> ssl.SSLContext | bool:
    """Honour the variables that other tools honour for a company's own certificate authority."""
    for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        bundle = os.environ.get(name)
        if bundle and Path(bundle).is_file():
            return ssl.create_default_context(cafile=bundle)
        if bundle and Path(bundle).is_dir():
            return ssl.create_default_context(capath=bundle)
    return True


def download(remote: Remote, folder: Path, advance: Advance, *, tries: int = 6, pause: float = 0.5) -> Path:
    """Return the local path of the file, fetched into `folder` unless it is there already.

    A broken connection is tried again from where it stopped, `tries` times without any progress in between; the
    pause starts at `pause` seconds and doubles. What was fetched stays as `*.part` so that a later run goes on from
    there; a file whose sha256 is wrong is removed. Call it under a lock: two writers of one part would mix.

    Raises:
        UnauthorisedError: the server asked for credentials.
        ModelError: unreachable, refused, wrong contents, or no space.
    """
    parts = urlsplit(remote.url)
    if parts.scheme == "file":
        return _local(remote, Path(unquote(parts.path)))
    key = remote.sha256 or hashlib.sha256(remote.url.encode()).hexdigest()
    whole = folder / f"{key[:32]}-{remote.filename}"
    part = whole.with_name(whole.name + ".part")
    with clear_errors(f"downloading {remote.filename}", folder):
        folder.mkdir(parents=True, exist_ok=True)
        if whole.is_file() and (remote.sha256 is None or digest(whole) == remote.sha256):
            return whole
        resumed = part.is_file() and part.stat().st_size > 0
        _stream(remote, part, advance, tries=tries, pause=pause)
        if resumed and not _matches(remote, part):
            # A part from an earlier run may be damaged (a power cut, say): once more, from nothing, before blaming it.
            _forget(part)
            _stream(remote, part, advance, tries=tries, pause=pause)
        if not _matches(remote, part):
            got = digest(part)
            _forget(part)
            raise ModelError(
                f"{remote.shown}: sha256 is {got[:16]}… but {str(remote.sha256)[:16]}… was promised; "
                "removed it: try again, and if it stays so, do not trust this mirror"
            )
        part.replace(whole)
        _tag(part).unlink(missing_ok=True)
    return whole


def _local(remote: Remote, path: Path) -> Path:
    if not path.is_file():
        raise ModelError(f"{path}: no such file, though the package index of this machine lists it")
    if not _matches(remote, path):
        raise ModelError(f"{path}: its sha256 is not what the package index promises; the file is damaged")
    return path


def _matches(remote: Remote, path: Path) -> bool:
    return remote.sha256 is None or digest(path) == remote.sha256


def _tag(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag(part).unlink(missing_ok=True)


def _stream(remote: Remote, part: Path, advance: Advance, *, tries: int, pause: float) -> None:
    import httpx

    left, wait = tries, pause
    timeout = httpx.Timeout(30.0, connect=15.0)
    with httpx.Client(verify=_trust(), follow_redirects=True, timeout=timeout) as client:
        while True:
            before = part.stat().st_size if part.is_file() else 0
            try:
                return _once(client, remote, part, advance)
            except httpx.TransportError as error:
                now = part.stat().st_size if part.is_file() else 0
                left, wait = (tries, pause) if now > before else (left - 1, wait * 2)
                if left <= 0:
                    kept = f"; {now:,} bytes are kept, a later run goes on from there" if now else ""
                    reason = str(error) or type(error).__name__
                    raise ModelError(f"cannot download {remote.shown}: {reason}{kept}") from error
                time.sleep(wait)


def _once(client: httpx.Client, remote: Remote, part: Path, advance: Advance) -> None:
    have = part.stat().st_size if part.is_file() else 0
    etag = _tag(part).read_text() if have and _tag(part).is_file() else ""
    # Compressed transfer would make byte ranges meaningless.
    headers = {"Accept-Encoding": "identity"}
    # Without an etag a range is safe only where the sha256 will tell in the end.
    if have and (etag or remote.sha256):
        headers["Range"] = f"bytes={have}-"
        if etag:
            headers["If-Range"] = etag
    with client.stream("GET", remote.url, headers=headers) as answer:
        status = answer.status_code
        if status == 416:
            # Either all of it is here already, or what is here is longer than the file: the sha256 tells.
            if remote.sha256 is not None and digest(part) == remote.sha256:
                return
            _forget(part)
            _once(client, remote, part, advance)
            return
        if status >= 500 or status == 429:
            import httpx

            raise httpx.ReadError(f"the server answered {status}")
        if status not in (200, 206):
            kind = UnauthorisedError if status in _REFUSED else ModelError
            raise kind(f"cannot download {remote.shown}: the server answered {status}")
        start = _start(answer) if status == 206 else 0
        if start not in (0, have):
            raise ModelError(
                f"cannot download {remote.shown}: asked for bytes from {have}, was sent those from {start}"
            )
        _note_etag(part, answer)
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        with part.open("r+b" if start else "wb") as out:
            out.seek(start)
            done = start
            advance(done, total)
            # As it comes: a chunk size would hold bytes back, and lose them where the connection breaks.
            for chunk in answer.iter_raw():
                out.write(chunk)
                done += len(chunk)
                advance(done, total)
            out.flush()
            os.fsync(out.fileno())


def _start(answer: Any) -> int:
    first = str(answer.headers.get("Content-Range", "")).removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdigit() else -1


def _note_etag(part: Path, answer: Any) -> None:
    etag = answer.headers.get("ETag", "")
    # A weak etag may not be used with If-Range (RFC 9110, section 13.1.5).
    if etag and not etag.startswith("W/"):
        _tag(part).write_text(etag)
    else:
        _tag(part).unlink(missing_ok=True)
