"""Open a file, a `.gz` or standard input as a stream of bytes, and tell its format from its name or first bytes."""

from __future__ import annotations

import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from pilotfish.errors import ConfigError, DataError, did_you_mean
from pilotfish.rows._remote import is_url, opened_url, plainly

FORMATS = ("jsonl", "json", "csv", "tsv", "parquet", "arrow", "text", "labelled-lines", "datasets")
STDIN = "-"
HEAD = 1 << 16  # bytes looked at to tell a format

_ENDINGS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".jl": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
}
_LINE_ENDINGS = {".txt", ".text", ".all", ".train", ".dev", ".test", ".valid"}
_HEADER_CELL = re.compile(r'"?[^\W\d][\w .\-/]{0,39}"?')


@contextmanager
def opened(source: str | Path, name: str) -> Iterator[tuple[BinaryIO, bytes]]:
    """Give the stream of a file or of standard input (unzipped where it is gzip), and its first bytes, unread.

    Raises:
        DataError: there is no such file, it may not be read, or it is damaged gzip.
    """
    raw: BinaryIO
    if is_url(source):
        with opened_url(str(source)) as far, plainly(str(source)):
            yield _unzipped(far)
        return
    try:
        raw = sys.stdin.buffer if str(source) == STDIN else Path(source).open("rb")  # noqa: SIM115  # closed below
    except OSError as error:
        raise DataError(f"{name}: {_why(error)}") from None
    try:
        yield _unzipped(raw)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{name}: damaged gzip: {error}") from None
    except OSError as error:
        raise DataError(f"{name}: {_why(error)}") from None
    finally:
        if raw is not sys.stdin.buffer:
            raw.close()


def _unzipped(raw: BinaryIO) -> tuple[BinaryIO, bytes]:
    stream, head = _with_head(raw)
    if head.startswith(b"\x1f\x8b"):
        stream, head = _with_head(cast(BinaryIO, gzip.GzipFile(fileobj=stream)))
    return stream, head


def _why(error: OSError) -> str:
    return "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error))


class _Chained(io.RawIOBase):
    """First the bytes already read, then the rest of the stream."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self.head = head
        self.rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # io wants the wider Buffer type
        piece = self.head[: len(buffer)]
        if piece:
            self.head = self.head[len(piece) :]
        else:
            # read1 gives what a pipe holds now; read would wait for the whole buffer.
            read = getattr(self.rest, "read1", self.rest.read)
            piece = read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _with_head(raw: BinaryIO) -> tuple[BinaryIO, bytes]:
    read = getattr(raw, "read1", raw.read)
    head = b""
    # A pipe may be slow: its first line is enough, and the rest need not be waited for.
    while len(head) < HEAD and (b"\n" not in head or raw.seekable()) and (chunk := read(HEAD)):
        head += chunk
    return cast(BinaryIO, io.BufferedReader(_Chained(head, raw), HEAD)), head


def known_format(name: str) -> str:
    """Return the name if it is a format.

    Raises:
        ConfigError: it is none; the text names the nearest.
    """
    if name not in FORMATS:
        raise ConfigError(f"unknown format {name!r}{did_you_mean(name, FORMATS)}")
    return name


def folder_format(folder: Path) -> str:
    """Return the format of a folder.

    Raises:
        DataError: it is no `datasets` folder.
    """
    if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
        return "datasets"
    raise DataError(
        f"{folder}: a folder, but not one that datasets.save_to_disk wrote (no state.json, no dataset_dict.json)"
    )


def name_format(path: Path) -> str | None:
    """Return the format that a file's name tells (`.gz` put aside), or None where its bytes must be looked at."""
    return _ENDINGS.get(_ending(path))


def _ending(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def sniffed(source: str | Path, name: str, head: bytes) -> str:
    """Tell the format from a file's first bytes.

    Raises:
        DataError: they do not tell.
    """
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "arrow"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"{\n", b"{\r\n")):
        raise DataError(f"{name}: one JSON object over many lines; needed are JSON lines, or an array of objects")
    if start.startswith(b"{"):
        return "jsonl"
    if start.startswith(b"["):
        return "json"
    if str(source) != STDIN and _ending(Path(source)) in _LINE_ENDINGS:
        return "labelled-lines" if labelled(head) else "text"
    first = start.partition(b"\n")[0].decode("utf-8", "replace").rstrip("\r")
    for delimiter, kind in (("\t", "tsv"), (",", "csv"), (";", "csv")):
        cells = first.split(delimiter)
        if len(set(cells)) == len(cells) > 1 and all(_HEADER_CELL.fullmatch(cell) for cell in cells):
            return kind
    raise DataError(f"{name}: cannot tell the format; give --format, one of {', '.join(FORMATS[:-1])}")


def labelled(head: bytes) -> bool:
    """Tell whether lines look like `<label> <text>`: few different first words, each on many lines."""
    lines = [line.split(None, 1) for line in head.split(b"\n")[:-1] or [head]]
    lines = [line for line in lines if line]
    # A label without its text here and there is a bad row, not another format.
    if sum(len(line) == 2 for line in lines) < max(1, 0.95 * len(lines)):
        return False
    labels = {line[0] for line in lines}
    return all(label.startswith(b"__label__") for label in labels) or len(labels) <= min(50, len(lines) // 4)
