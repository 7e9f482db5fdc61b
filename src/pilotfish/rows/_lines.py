"""Lines of bytes from a stream, in constant memory: numbered, decoded, and none longer than a limit."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from pilotfish.errors import DataError
from pilotfish.rows._row import Bad

KEPT = 200  # bytes of an over-long line that go to the rejects file
_UTF8_BOM = b"\xef\xbb\xbf"


class Lines:
    """Iterates over decoded lines, line ends included; a line that is none becomes a `Bad`.

    Attributes:
        number: the number, from 1, of the line given last.
        raw: its bytes, or the first bytes of one that was too long.
    """

    def __init__(self, stream: BinaryIO, encoding: str, limit: int) -> None:
        self.stream = stream
        self.encoding = encoding
        self.limit = limit
        self.number = 0
        self.raw = b""

    def __iter__(self) -> Iterator[str | Bad]:
        readline, limit, encoding = self.stream.readline, self.limit, self.encoding
        while line := readline(limit + 1):
            self.number += 1
            if self.number == 1 and encoding == "utf-8":
                line = line.removeprefix(_UTF8_BOM)
            if len(line) > limit and not line.endswith(b"\n"):
                self.raw = line[:KEPT]
                yield self._too_long(len(line))
                continue
            self.raw = line
            if b"\0" in line:
                yield Bad(self.number, "NUL byte: damaged, or UTF-16 (then use --encoding utf-16)", shown(line))
                continue
            try:
                yield line.decode(encoding)
            except UnicodeDecodeError as error:
                yield not_text(self.number, line, error)

    def _too_long(self, length: int) -> Bad:
        """Skip the rest of the line piece by piece, so that it is never held whole."""
        while piece := self.stream.readline(1 << 16):
            length += len(piece)
            if piece.endswith(b"\n"):
                break
        return too_long(self.number, length, self.limit, self.raw)


def too_long(line: int, length: int, limit: int, raw: bytes) -> Bad:
    """Return the reject for a row that is longer than the limit; sizes in bytes."""
    return Bad(line, f"row too long: {length:,} bytes, the limit is {limit:,} (max_row_bytes)", shown(raw[:KEPT]) + "…")


def not_text(line: int, raw: bytes, error: UnicodeDecodeError) -> Bad:
    """Return the reject for bytes that the encoding cannot read."""
    name = "UTF-8" if error.encoding == "utf-8" else error.encoding
    hint = "; if the file is Latin-1, use --encoding latin-1" if name == "UTF-8" else ""
    return Bad(line, f"not {name}: byte 0x{raw[error.start]:02x} at column {error.start + 1}{hint}", shown(raw))


def shown(raw: bytes) -> str:
    """Return bytes as text without the line end, with backslash escapes for what is not UTF-8."""
    return raw.decode("utf-8", "backslashreplace").rstrip("\r\n")


class Recoded(io.RawIOBase):
    """A stream in UTF-16 or UTF-32, given as UTF-8, so that a line ends where the byte 10 stands."""

    def __init__(self, stream: BinaryIO, encoding: str, source: str) -> None:
        import codecs

        self.stream = stream
        self.source = source
        self.encoding = encoding
        self.decoder = codecs.getincrementaldecoder(encoding)()
        self.ready = b""
        self.ended = False

    def readable(self) -> bool:
        """Return True: it is made for reading."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # io wants the wider Buffer type
        """Fill the buffer; 0 at the end.

        Raises:
            DataError: the bytes are not in the encoding (there is no next line to go on from).
        """
        while not self.ready and not self.ended:
            chunk = self.stream.read(1 << 16)
            self.ended = not chunk
            try:
                self.ready = self.decoder.decode(chunk, final=self.ended).encode()
            except UnicodeError as error:
                raise DataError(f"{self.source}: not {self.encoding}: {error.args[-1]}") from None
        size = min(len(buffer), len(self.ready))
        buffer[:size] = self.ready[:size]
        self.ready = self.ready[size:]
        return size
