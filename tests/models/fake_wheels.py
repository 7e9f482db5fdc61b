"""Wheels written on the spot, and a real HTTP server on 127.0.0.1 that hands files out as badly as it is told to."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import stat
import threading
import time
import zipfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from pilotfish.models._fetch import Remote


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(members: Mapping[str, bytes], *, links: Mapping[str, str] | None = None, name: str = "") -> bytes:
    """The bytes of a zip with these members; `links`: symbolic links; `name`: `dist-version`, to add its METADATA."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        for member, target in (links or {}).items():
            info = zipfile.ZipInfo(member)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
        if name:
            dist, _, version = name.partition("-")
            folder = f"{dist}-{version}.dist-info"
            archive.writestr(f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
            archive.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{folder}/RECORD", "")
    return out.getvalue()


@dataclass(frozen=True)
class Get:
    """One request as it came."""

    path: str
    range: str
    if_range: str
    sent: int
    status: int


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are what the tests are about."""


@dataclass
class Files:
    """Serves `files` (path -> bytes).

    Attributes:
        cuts: for each request in turn, drop the connection after this many bytes of the body (None: send it whole).
        statuses: for each request in turn, answer this status instead (200: as usual).
        ranges: honour Range requests.
        etag: send an ETag and honour If-Range.
        rate: bytes a second; 0: as fast as can be.
        headers: further headers by path, or by status ("404") for answers without a file.
        login: `user:password` that is asked for; empty: none.
        seen: the requests, in the order in which they ended.
    """

    files: dict[str, bytes]
    cuts: deque[int | None] = field(default_factory=deque)
    statuses: deque[int] = field(default_factory=deque)
    ranges: bool = True
    etag: bool = True
    rate: int = 0
    login: str = ""
    seen: list[Get] = field(default_factory=list)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        files = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                files._answer(self, body=False)

            def do_GET(self) -> None:
                files._answer(self, body=True)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def remote(self, path: str, *, stated: str | None = "") -> Remote:
        """Where a file is, with its sha256 (or `stated` instead; None: no sum)."""
        return Remote(self.url + path, sha256(self.files[path]) if stated == "" else stated)

    @property
    def sent(self) -> int:
        """Bytes of all bodies so far."""
        return sum(get.sent for get in self.seen)

    def _answer(self, handler: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = handler.path.partition("?")[0]
        asked, if_range = handler.headers.get("Range", ""), handler.headers.get("If-Range", "")
        status = self.statuses.popleft() if self.statuses else 200
        if self.login:
            want = "Basic " + base64.b64encode(self.login.encode()).decode()
            status = status if handler.headers.get("Authorization") == want else 401
        data = self.files.get(path)
        if data is None and status == 200:
            status = 404
        if status != 200 or data is None:
            handler.send_response(status)
            if status == 401:
                handler.send_header("WWW-Authenticate", 'Basic realm="wheels"')
            for key, value in self.headers.get(str(status), {}).items():
                handler.send_header(key, value)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            self.seen.append(Get(path, asked, if_range, 0, status))
            return
        tag = f'"{sha256(data)[:16]}"'
        start = 0
        match = re.fullmatch(r"bytes=(\d+)-", asked)
        if self.ranges and match and if_range in ("", tag):
            start, status = int(match[1]), 206
        if start and start >= len(data):
            handler.send_response(416)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            self.seen.append(Get(path, asked, if_range, 0, 416))
            return
        handler.send_response(status)
        extra = self.headers.get(path, {})
        if self.etag and "ETag" not in extra:
            handler.send_header("ETag", tag)
        for key, value in extra.items():
            handler.send_header(key, value)
        if status == 206:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Type", "text/html" if path.endswith("/") else "application/octet-stream")
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        self._send(handler, data[start:] if body else b"", Get(path, asked, if_range, 0, status))

    def _send(self, handler: BaseHTTPRequestHandler, data: bytes, get: Get) -> None:
        cut = self.cuts.popleft() if self.cuts else None
        data = data if cut is None else data[:cut]
        sent, piece = 0, 1 << 14
        try:
            for first in range(0, len(data), piece):
                handler.wfile.write(data[first : first + piece])
                sent += len(data[first : first + piece])
                if self.rate:
                    time.sleep(piece / self.rate)
        except OSError:
            pass  # the client was killed: that is what some tests do
        if cut is not None:
            handler.close_connection = True
        self.seen.append(Get(get.path, get.range, get.if_range, sent, get.status))


def write_wheel(folder: Path, name: str, members: Mapping[str, bytes]) -> Path:
    """A wheel that pip accepts, as a file; `name` is `dist-version`."""
    path = folder / f"{name}-py3-none-any.whl"
    path.write_bytes(wheel(members, name=name))
    return path
