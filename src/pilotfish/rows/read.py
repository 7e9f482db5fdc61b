"""Read rows from a file, a folder or standard input, one at a time, in constant memory.

A bad row never stops the reading and is never dropped in silence: it goes to the rejects with its line number and the
reason, or, with `strict`, is an error.
"""

from __future__ import annotations

import codecs
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows import _arrow, _text
from pilotfish.rows._delimited import delimited
from pilotfish.rows._lines import Lines, Recoded
from pilotfish.rows._open import FORMATS, STDIN, folder_format, known_format, name_format, opened, sniffed
from pilotfish.rows._remote import is_url, local, opened_url
from pilotfish.rows._row import Bad, Row, Rows, need_columns
from pilotfish.rows.rejects import Rejects

__all__ = ["FORMATS", "MAX_ROW_BYTES", "Rejects", "Row", "Rows", "need_columns", "read"]

MAX_ROW_BYTES = 16 << 20
_log = logging.getLogger(__name__)


def read(
    source: str | Path,
    *,
    format: str | None = None,
    encoding: str | None = None,
    strict: bool = False,
    rejects: Rejects | str | Path | None = None,
    columns: Sequence[str] | None = None,
    split: str | None = None,
    max_row_bytes: int = MAX_ROW_BYTES,
) -> Iterator[Row]:
    """Yield the rows of a source.

    Formats: `jsonl`, `json` (one array), `csv` (comma, or `;` where the header has no comma), `tsv`, `parquet`,
    `arrow`, `datasets` (a folder that Hugging Face `save_to_disk` wrote; class labels come as their names), `text`
    (column `text`, one a line) and `labelled-lines` (`<label> <text>` a line, as TREC and fastText have it; columns
    `label` and `text`). Text formats may be gzipped. Values of CSV and TSV are text. Blank lines are passed over.

    What is wrong with the source as a whole is raised here; what is wrong with a row shows while iterating.

    Args:
        source: a path, `-` for standard input, or a URL that fsspec knows, as `s3://bucket/rows.jsonl`.
        format: one of the names above; None tells it from the name, else from the first bytes.
        encoding: of text formats; None is UTF-8, a byte-order mark allowed.
        strict: raise at the first bad row.
        rejects: where bad rows go: a `Rejects`, or the path of a JSONL file to append to. Where None is given, one
            line of warning is logged at the end.
        columns: keep only these columns.
        split: the split to take from a `datasets` folder with several.
        max_row_bytes: a longer row is a bad row; it is not held in memory whole.

    Returns:
        An iterator over rows.

    Raises:
        ConfigError: an unknown format or encoding.
        DataError: no such file, nothing in it, a missing column, no usable row; with `strict`, the first bad row.
        MissingExtra: Parquet, Arrow or `datasets` without pyarrow.
    """
    source = local(source) if str(source).startswith("file://") else source
    name = "standard input" if str(source) == STDIN else str(source)
    if format is not None:
        known_format(format)
    encoding = _encoding(encoding)
    if is_url(source) and format == "datasets":
        raise DataError(f"{name}: a folder of datasets is read from a disk: copy it there, or take its Parquet files")
    if name == str(source) and not is_url(source):
        path = Path(source)
        if path.is_dir():
            if format not in (None, "datasets"):
                raise DataError(f"{name}: a folder, not a {format} file")
            format = folder_format(path)
        elif not path.exists():
            raise DataError(f"{name}: no such file")
        elif format == "datasets":
            raise DataError(f"{name}: a file, not a datasets folder")
        elif path.is_file() and path.stat().st_size == 0:
            raise DataError(f"{name}: the file is empty")
    if split is not None and format != "datasets":
        raise ConfigError(f"{name}: --split is for datasets folders only")
    if columns is not None and not columns:
        raise ConfigError("columns is an empty list; leave it away to keep all")
    if format == "datasets":
        items: Iterator[Row | Bad] = _arrow.datasets_folder(Path(source), split, columns)
    else:
        items = _items(source, name, format, encoding, columns=columns, limit=max_row_bytes)
    kept = rejects if isinstance(rejects, Rejects) else Rejects(rejects)
    return _checked(items, name, kept, columns, strict=strict, warn=rejects is None)


def _encoding(encoding: str | None) -> str:
    try:
        return codecs.lookup(encoding or "utf-8").name.replace("utf-8-sig", "utf-8")
    except LookupError:
        raise ConfigError(f"unknown encoding {encoding!r}; utf-8, latin-1, cp1252 and utf-16 are common") from None


def _items(
    source: str | Path,
    name: str,
    format: str | None,
    encoding: str,
    *,
    columns: Sequence[str] | None,
    limit: int,
) -> Iterator[Row | Bad]:
    """Yield rows and bad rows as they stand in the file."""
    with opened(source, name) as (raw, head):
        if not head.strip():
            raise DataError(f"{name}: the file is empty")
        kind = format or (name_format(Path(source)) if str(source) != STDIN else None)
        stream = raw
        if encoding.startswith(("utf-16", "utf-32")):
            kind = kind or sniffed(source, name, head.decode(encoding, "replace").encode())
            stream = cast(BinaryIO, io.BufferedReader(Recoded(raw, encoding, name)))
            encoding = "utf-8"
        elif head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise DataError(f"{name}: this is UTF-16; use --encoding utf-16")
        kind = kind or sniffed(source, name, head)
        if kind == "json":
            yield from _text.json_array(stream, name, encoding, limit)
        elif kind in ("parquet", "arrow"):
            yield from _binary(kind, source, stream, name, columns)
        else:
            lines = Lines(stream, encoding, limit)
            if kind in ("csv", "tsv"):
                yield from delimited(lines, name, "\t" if kind == "tsv" else None)
            else:
                yield from {"jsonl": _text.jsonl, "text": _text.text}.get(kind, _text.labelled_lines)(lines)


def _binary(kind: str, source: str | Path, stream: BinaryIO, name: str, columns: Sequence[str] | None) -> Iterator[Row]:
    if kind == "arrow":
        if str(source) == STDIN:
            raise DataError("an Arrow file cannot be read from standard input; give its path")
        with opened_url(str(source)) if is_url(source) else Path(source).open("rb") as file:
            yield from _arrow.arrow(file, name, columns)
    elif str(source) == STDIN or is_url(source):
        yield from _arrow.parquet_stream(stream, name, columns)
    else:
        yield from _arrow.parquet(Path(source), name, columns)


def _checked(
    items: Iterator[Row | Bad],
    name: str,
    rejects: Rejects,
    columns: Sequence[str] | None,
    *,
    strict: bool,
    warn: bool,
) -> Iterator[Row]:
    """Yield the good rows; put the bad ones where they belong."""
    good = 0
    before, first = len(rejects), ""
    for item in items:
        row: Row | Bad = item
        if columns is not None and not isinstance(row, Bad):
            row = _chosen(row, columns, name, first=not good)
        if isinstance(row, Bad):
            where = f"line {row.line}" if row.line is not None else f"after {good} good rows"
            if strict:
                raise DataError(f"{name}, {where}: {row.reason}")
            first = first or f"{where}: {row.reason}"
            rejects.add(name, row.line, row.reason, row.raw)
            continue
        good += 1
        yield row
    bad = len(rejects) - before
    if not good and bad:
        raise DataError(f"{name}: no usable row, all {bad} were rejected; {first}")
    if not good:
        raise DataError(f"{name}: no rows in it")
    if bad and warn:
        _log.warning("%s: %s", name, rejects.summary())


def _chosen(row: Row, columns: Sequence[str], name: str, *, first: bool) -> Row | Bad:
    """Return the row with the chosen columns only; in the first row a missing one is a slip in the column's name."""
    try:
        return {column: row[column] for column in columns}
    except KeyError as error:
        if first:
            need_columns(row, *columns, source=name)
        return Bad(None, f"missing column: {error.args[0]!r}", str(row))
