"""Parquet files, Arrow files and Hugging Face `datasets` folders, a batch of rows at a time."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pilotfish._extras import need
from pilotfish.errors import DataError
from pilotfish.rows._row import Row, need_columns

BATCH = 1024


def parquet(source: Path | BinaryIO, name: str, columns: Sequence[str] | None) -> Iterator[Row]:
    """Yield the rows of a Parquet file.

    Raises:
        DataError: it is none, it is damaged, or a column is missing.
        MissingExtra: pyarrow is not installed.
    """
    pyarrow = need("pyarrow", "parquet")
    module = need("pyarrow.parquet", "parquet")
    try:
        with module.ParquetFile(source) as file:
            need_columns(file.schema_arrow.names, *(columns or ()), source=name)
            for batch in file.iter_batches(BATCH, columns=list(columns) if columns else None):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{name}: not a Parquet file, or damaged: {_first_line(error)}") from None


def parquet_stream(stream: BinaryIO, name: str, columns: Sequence[str] | None) -> Iterator[Row]:
    """Yield the rows of a Parquet file that comes through a pipe; its index stands at its end, so it is put on disk."""
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy)
        copy.seek(0)
        yield from parquet(copy, name, columns)


def arrow(source: BinaryIO, name: str, columns: Sequence[str] | None) -> Iterator[Row]:
    """Yield the rows of an Arrow file, in the stream format (as `datasets` writes) or the file format (Feather).

    Raises:
        DataError: it is none, it is damaged, or a column is missing.
        MissingExtra: pyarrow is not installed.
    """
    pyarrow = need("pyarrow", "parquet")
    try:
        if source.read(6) == b"ARROW1":
            file = pyarrow.ipc.open_file(source)
            batches = (file.get_batch(place) for place in range(file.num_record_batches))
            schema = file.schema
        else:
            source.seek(0)
            batches = stream = pyarrow.ipc.open_stream(source)
            schema = stream.schema
        need_columns(schema.names, *(columns or ()), source=name)
        for batch in batches:
            chosen = batch.select(list(columns)) if columns else batch
            for start in range(0, chosen.num_rows, BATCH):
                yield from chosen.slice(start, BATCH).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{name}: not an Arrow file, or damaged: {_first_line(error)}") from None


def datasets_folder(folder: Path, split: str | None, columns: Sequence[str] | None) -> Iterator[Row]:
    """Yield the rows of a folder that `datasets.save_to_disk` wrote; class labels are given by their names.

    Raises:
        DataError: a file is missing or damaged, or the split is not there, or not named where there are several.
        MissingExtra: pyarrow is not installed.
    """
    if (folder / "dataset_dict.json").is_file():
        splits = [str(name) for name in _json(folder / "dataset_dict.json").get("splits", [])]
        if split is None and len(splits) != 1:
            raise DataError(f"{folder}: holds several splits ({', '.join(splits)}); name one with --split")
        if split is not None and split not in splits:
            raise DataError(f"{folder}: no split {split!r}; it has {', '.join(splits)}")
        folder = folder / (split or splits[0])
    elif split is not None:
        raise DataError(f"{folder}: holds one split only; leave --split away")
    files = _json(folder / "state.json").get("_data_files")
    if not isinstance(files, list) or not all(isinstance(file, dict) and "filename" in file for file in files):
        raise DataError(f"{folder / 'state.json'}: lists no data files")
    named = _label_names(folder / "dataset_info.json")
    for file in files:
        path = folder / str(file["filename"])
        if not path.is_file():
            raise DataError(f"{folder}: {file['filename']} is missing")
        with path.open("rb") as stream:
            for row in arrow(stream, str(path), columns):
                for column, name in named.items():
                    if column in row:
                        row[column] = name(row[column])
                yield row


def _label_names(path: Path) -> dict[str, Callable[[Any], str | None]]:
    """Return, for each class-label column, what turns its numbers into names; -1 and null are "no label"."""
    features = _json(path).get("features") if path.is_file() else None
    named: dict[str, Callable[[Any], str | None]] = {}
    for column, feature in (features or {}).items():
        if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel" and feature.get("names"):
            names = list(feature["names"])

            def name(value: Any, names: list[str] = names) -> str | None:
                return names[value] if isinstance(value, int) and 0 <= value < len(names) else None

            named[column] = name
    return named


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if not isinstance(data, dict):
        raise DataError(f"{path}: not a JSON object")
    return data


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
