"""Write rows to a file, whole or not at all, or to standard output; streaming."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from pilotfish.errors import ConfigError, DataError, did_you_mean
from pilotfish.rows._atomic import atomic
from pilotfish.rows._datasets_out import write_datasets
from pilotfish.rows._json import encoded, plain
from pilotfish.rows._open import STDIN as STDOUT
from pilotfish.rows._open import name_format
from pilotfish.rows._parquet_out import write_parquet
from pilotfish.rows._row import Row

__all__ = ["WRITABLE", "write"]

WRITABLE = ("jsonl", "csv", "tsv", "parquet", "datasets")


def write(rows: Iterable[Row], target: str | Path, format: str | None = None) -> int:
    """Write rows and return how many.

    The file appears under its name when it is whole, else not at all; what stood there before stays until then. A name
    that ends in `.gz` is gzipped (not Parquet). Numpy values become plain ones, dates ISO text. In CSV and TSV the
    columns are those of the first row; null is the empty cell, and lists and objects are JSON.

    Args:
        rows: any iterable; held one at a time.
        target: a path, or `-` for standard output.
        format: `jsonl`, `csv`, `tsv`, `parquet`, or `datasets` for a folder that Hugging Face's `load_from_disk` takes;
            None tells it from the name (`-` is JSONL).

    Raises:
        ConfigError: the format is unknown or not told by the name, or a folder to be replaced is none of `datasets`.
        DataError: the disk is full or refuses; a row does not fit the format.
        MissingExtra: Parquet without pyarrow.
    """
    kind = format or ("jsonl" if str(target) == STDOUT else name_format(Path(target)))
    if kind is None:
        raise ConfigError(f"{target}: cannot tell the format from the name; give one of {', '.join(WRITABLE)}")
    if kind not in WRITABLE:
        raise ConfigError(f"cannot write the format {kind!r}{did_you_mean(kind, WRITABLE)}")
    if kind == "datasets":
        if str(target) == STDOUT:
            raise ConfigError("datasets is a folder: it cannot be written to standard output")
        return write_datasets(rows, Path(target))
    if str(target) == STDOUT:
        count = write_to(rows, sys.stdout.buffer, kind)
        sys.stdout.buffer.flush()
        return count
    with atomic(Path(target)) as file, _zipped(file, Path(target), kind) as stream:
        return write_to(rows, stream, kind)


@contextmanager
def _zipped(file: BinaryIO, path: Path, kind: str) -> Iterator[BinaryIO]:
    if path.suffix.lower() != ".gz" or kind == "parquet":
        yield file
        return
    # No time and no name inside: the same rows give the same bytes.
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as stream:
        yield cast(BinaryIO, stream)


def write_to(rows: Iterable[Row], file: BinaryIO, kind: str) -> int:
    """Write rows to an open binary file in one of `WRITABLE` formats but `datasets`; return how many.

    Raises:
        DataError: a row does not fit the format.
    """
    if kind == "parquet":
        return write_parquet(rows, file)
    if kind == "jsonl":
        return _jsonl(rows, file)
    return _delimited(rows, file, "\t" if kind == "tsv" else ",")


def _jsonl(rows: Iterable[Row], file: BinaryIO) -> int:
    count = 0
    for row in rows:
        count += 1
        try:
            file.write(encoded(row) + b"\n")
        except (TypeError, ValueError) as error:
            raise DataError(f"row {count} has no form in JSON: {error}") from None
    return count


def _delimited(rows: Iterable[Row], file: BinaryIO, delimiter: str) -> int:
    # Half a surrogate pair has no bytes in UTF-8; an escape is the least bad of what can stand there.
    text = io.TextIOWrapper(file, "utf-8", "backslashreplace", newline="", write_through=False)
    try:
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        # Where lines end in \n, Python before 3.13 leaves a lone \r unquoted, which no reader takes as part of a cell.
        quoting = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
        names: list[str] = []
        known: set[str] = set()
        count = 0
        for row in rows:
            count += 1
            if count == 1:
                names, known = list(row), set(row)
                writer.writerow(names)
            if not known.issuperset(row):
                new = next(name for name in row if name not in known)
                raise DataError(f"row {count} has a column {new!r} that the first row lacks; JSONL takes it")
            cells = [_cell(row.get(name), count, name) for name in names]
            (quoting if any("\r" in cell for cell in cells) else writer).writerow(cells)
        if not count:
            raise DataError("no rows to write: a CSV file needs one to know its columns")
        text.flush()
        return count
    finally:
        # The file is the caller's to close, not this wrapper's.
        if not text.closed:
            text.detach()


def _cell(value: Any, row: int, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        plain_value = value if isinstance(value, bool | int | float | list | dict | tuple) else plain(value)
        if isinstance(plain_value, str):
            return plain_value
        return json.dumps(plain_value, ensure_ascii=False, default=plain)
    except (TypeError, ValueError) as error:
        raise DataError(f"row {row}, column {name!r}: {error}") from None
