"""Write rows as a folder that Hugging Face's `datasets.load_from_disk` takes: Arrow streams and two JSON files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pilotfish._extras import need
from pilotfish.errors import ConfigError
from pilotfish.rows._atomic import cannot_write
from pilotfish.rows._parquet_out import write_parquet
from pilotfish.rows._row import Row

__all__ = ["write_datasets"]

STATE, INFO = "state.json", "dataset_info.json"
FILE_BYTES = 500 << 20  # a file of the folder, about: what `datasets` takes too


def write_datasets(rows: Iterable[Row], folder: Path) -> int:
    """Write rows to a folder, whole or not at all, and return how many; a `datasets` folder there is replaced.

    Raises:
        ConfigError: something else stands there.
        DataError: there are no rows, a column holds values of types that do not go together, or the disk is full.
        MissingExtra: pyarrow is not installed.
    """
    if folder.exists() and not (folder / STATE).is_file() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigError(f"{folder}: holds something else than a datasets folder; give another name")
    parquet = need("pyarrow.parquet", "parquet")
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        # Columns and types may show late; the Parquet writer has settled them when the first file here begins.
        with tempfile.TemporaryFile() as whole:
            count = write_parquet(rows, whole)
            whole.seek(0)
            partial.mkdir(parents=True)
            with parquet.ParquetFile(whole) as file:
                _write_streams(file, partial)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        for left in (partial, old):
            shutil.rmtree(left, ignore_errors=True)
    return count


def _write_streams(file: Any, folder: Path) -> None:
    """Write a Parquet file's batches as Arrow streams, and what says which they are."""
    arrow = need("pyarrow", "parquet")
    groups: list[list[int]] = [[]]
    size = 0
    for group in range(file.num_row_groups):
        if size > FILE_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(group)
        size += file.metadata.row_group(group).total_byte_size
    names = [f"data-{i:05d}-of-{len(groups):05d}.arrow" for i in range(len(groups))]
    for name, some in zip(names, groups, strict=True):
        with (
            arrow.OSFile(str(folder / name), "wb") as sink,
            arrow.ipc.new_stream(sink, file.schema_arrow.remove_metadata()) as stream,
        ):
            for batch in file.iter_batches(row_groups=some):
                stream.write_batch(batch)
    digest = hashlib.sha256()
    for name in names:
        with (folder / name).open("rb") as written:
            digest.update(hashlib.file_digest(written, "sha256").digest())
    # Features are left for `datasets` to read off the Arrow schema: how it spells them differs between versions.
    _put(folder / INFO, {"citation": "", "description": "", "features": None, "homepage": "", "license": ""})
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": digest.hexdigest()[:16]}
    formats: dict[str, Any] = {
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
    }
    _put(folder / STATE, {**state, **formats, "_split": None})


def _put(path: Path, told: dict[str, Any]) -> None:
    path.write_text(json.dumps(told, indent=2), encoding="utf-8")
