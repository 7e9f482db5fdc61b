"""HTTP/1.1 responses, parsed as they arrive; knows nothing of sockets.

Source: RFC 9112, sections 2 to 7 (message syntax, framing, chunked coding) and 9 (persistence). It is strict where a
wrong guess could take one answer's bytes for another's: two lengths that differ, a chunk that lies about its size, or
anything after the end make the connection unfit for further use.
"""

from __future__ import annotations

import re

__all__ = ["ParseError", "ResponseParser"]

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_HEX = re.compile(rb"[0-9a-fA-F]{1,15}")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_MOST_HEAD = 64 << 10
_MOST_SIZE_LINE = 4096

HEAD, FIXED, SIZE, CHUNK, AFTER, TRAILER, REST, DONE = range(8)


class ParseError(Exception):
    """What came is not HTTP, or ended before its end."""


class ResponseParser:
    """One response to a POST.

    Attributes:
        status: the status, once `headed`.
        headers: by lower-case name, once `headed`; several of one name are joined by ", ".
        headed: whether the head is complete.
        done: whether the response is complete.
        reusable: whether the connection may carry another request afterwards.
        parts: pieces of the body that were not taken yet; whoever takes them empties the list.
    """

    __slots__ = ("_buffer", "_left", "_state", "headers", "parts", "reusable", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []
        self.reusable = False
        self._buffer = b""
        self._left = 0
        self._state = HEAD

    @property
    def headed(self) -> bool:
        """Whether the head is complete."""
        return self._state != HEAD

    @property
    def done(self) -> bool:
        """Whether the response is complete."""
        return self._state == DONE

    def feed(self, data: bytes) -> None:
        """Take bytes in.

        Raises:
            ParseError: they are no HTTP.
        """
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        while data:
            state = self._state
            if state in (CHUNK, FIXED):
                data = self._body(data)
            elif state == HEAD:
                data = self._head(data)
            elif state == REST:
                self.parts.append(data)
                return
            elif state == DONE:
                self.reusable = False
                return
            else:
                data = self._between(data)

    def eof(self) -> None:
        """Take note that no more will come.

        Raises:
            ParseError: more was to come.
        """
        self.reusable = False
        if self._state == REST:
            self._state = DONE
        elif self._state != DONE:
            raise ParseError("the connection closed before the answer was whole")

    def _body(self, data: bytes) -> bytes:
        """Take what belongs to the body, or to this chunk of it; return the rest."""
        left = self._left
        if len(data) < left:
            self.parts.append(data)
            self._left = left - len(data)
            return b""
        self.parts.append(data if len(data) == left else data[:left])
        self._left = 0
        self._state = DONE if self._state == FIXED else AFTER
        return data[left:]

    def _between(self, data: bytes) -> bytes:
        """Take a line between chunks: a size, the end of a chunk, a trailer; return the rest."""
        end = data.find(b"\n")
        if end < 0:
            if len(data) > _MOST_SIZE_LINE:
                raise ParseError("a line of the chunked coding does not end")
            self._buffer = data
            return b""
        line = data[: end - 1] if data[end - 1 : end] == b"\r" else data[:end]
        rest = data[end + 1 :]
        if self._state == SIZE:
            size = line.partition(b";")[0].strip(b" \t")
            if not _HEX.fullmatch(size):
                raise ParseError("a chunk has no size")
            self._left = int(size, 16)
            self._state = CHUNK if self._left else TRAILER
        elif self._state == AFTER:
            if line:
                raise ParseError("a chunk is longer than its size")
            self._state = SIZE
        elif not line:
            self._state = DONE
        return rest

    def _head(self, data: bytes) -> bytes:
        """Take the head, if it is all there; return the rest."""
        end = data.find(b"\r\n\r\n")
        after = end + 4
        if end < 0 or b"\n\n" in data[:end]:
            found = _HEAD_END.search(data)
            if found is None:
                if len(data) > _MOST_HEAD:
                    raise ParseError("the head of the answer does not end")
                self._buffer = data
                return b""
            end, after = found.span()
        lines = data[:end].split(b"\n")
        version = self._status_line(lines[0].rstrip(b"\r"))
        if 100 <= self.status < 200 and self.status != 101:
            return data[after:]  # "go on" and its like: the answer itself comes after it
        lengths, codings = self._fields(lines[1:])
        self._frame(version, lengths, codings)
        return data[after:]

    def _status_line(self, line: bytes) -> bytes:
        version, _, rest = line.partition(b" ")
        code = rest[:3]
        sound = len(code) == 3 and code.isdigit() and rest[3:4] in (b"", b" ")
        if version not in (b"HTTP/1.1", b"HTTP/1.0") or not sound:
            raise ParseError("what came is no HTTP/1.1")
        self.status = int(code)
        if self.status == 101 or self.status < 100:
            raise ParseError(f"status {self.status} answers nothing that was asked")
        return version

    def _fields(self, lines: list[bytes]) -> tuple[list[str], list[str]]:
        """Read the header fields; return every content length and transfer coding."""
        headers = self.headers = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon or not _NAME.fullmatch(name):
                raise ParseError("a header has no name")
            key = name.decode("ascii").lower()
            text = value.strip(b" \t\r").decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        lengths = [part.strip() for part in headers["content-length"].split(",")] if "content-length" in headers else []
        codings = [part.strip().lower() for part in headers.get("transfer-encoding", "").split(",") if part.strip()]
        return lengths, codings

    def _frame(self, version: bytes, lengths: list[str], codings: list[str]) -> None:
        """Find out where the body ends: RFC 9112, section 6.3."""
        options = {part.strip().lower() for part in self.headers.get("connection", "").split(",")}
        self.reusable = "close" not in options and (version == b"HTTP/1.1" or "keep-alive" in options)
        if self.status in (204, 304):
            self._state = DONE
        elif codings:
            if lengths:
                self.reusable = False
            if codings != ["chunked"] and codings[-1] == "chunked":
                raise ParseError(f"the answer is coded as {', '.join(codings)}, which was not asked for")
            self._state = SIZE if codings[-1] == "chunked" else REST
        elif lengths:
            length = lengths[0]
            if any(other != length for other in lengths) or not (length.isascii() and length.isdigit()):
                raise ParseError("the answer has two lengths, or none that is a number")
            if len(length) > 18:
                raise ParseError("the answer is longer than anything")
            self._left = int(length)
            self._state = FIXED if self._left else DONE
        else:
            self._state = REST
        if self._state == REST:
            self.reusable = False
