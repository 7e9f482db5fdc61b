from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pilotfish.errors import DataError
from pilotfish.rows.read import read

ROWS = [{"text": f"row {n}", "label": n % 3, "tags": [n, n + 1]} for n in range(3000)]


def save(folder: Path, rows: list[dict[str, Any]], features: dict[str, Any]) -> None:
    """Write what `datasets.save_to_disk` writes: arrow streams, state.json, dataset_info.json."""
    folder.mkdir(parents=True)
    files = []
    half = len(rows) // 2
    for place, part in enumerate((rows[:half], rows[half:])):
        name = f"data-{place:05d}-of-00002.arrow"
        table = pa.Table.from_pylist(part)
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=1000)
        files.append({"filename": name})
    (folder / "state.json").write_text(json.dumps({"_data_files": files, "_fingerprint": "f", "_split": "train"}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))


FEATURES = {
    "text": {"dtype": "string", "_type": "Value"},
    "label": {"names": ["no", "yes", "maybe"], "_type": "ClassLabel"},
}


def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=700)
    assert list(read(path)) == ROWS
    assert list(read(path, columns=["label"]))[4] == {"label": 1}
    with pytest.raises(DataError, match="did you mean 'label'"):
        list(read(path, columns=["labels"]))

    class Stdin:
        buffer = io.BytesIO(path.read_bytes())

    monkeypatch.setattr(sys, "stdin", Stdin())
    assert list(read("-")) == ROWS


def test_arrow_files_of_both_kinds(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(ROWS)
    for name, make in (("stream.arrow", pa.ipc.new_stream), ("file.arrow", pa.ipc.new_file)):
        with pa.OSFile(str(tmp_path / name), "wb") as sink, make(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=1024)
        assert list(read(tmp_path / name)) == ROWS


def test_a_damaged_arrow_file(tmp_path: Path) -> None:
    save(tmp_path / "d", ROWS, FEATURES)
    path = tmp_path / "d" / "data-00001-of-00002.arrow"
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(DataError, match="damaged"):
        list(read(tmp_path / "d"))


def test_a_datasets_folder_gives_label_names(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        *ROWS,
        {"text": "unlabelled", "label": -1, "tags": []},
        {"text": "null", "label": None, "tags": None},
    ]
    save(tmp_path / "d", rows, FEATURES)
    names = ["no", "yes", "maybe"]
    found = list(read(tmp_path / "d"))
    assert found[:3000] == [{**row, "label": names[n % 3]} for n, row in enumerate(ROWS)]
    assert [row["label"] for row in found[3000:]] == [None, None]
    assert next(read(tmp_path / "d", columns=["text"])) == {"text": "row 0"}


def test_a_folder_of_splits(tmp_path: Path) -> None:
    for split, count in (("train", 100), ("test", 10)):
        save(tmp_path / "d" / split, ROWS[:count], FEATURES)
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert len(list(read(tmp_path / "d", split="test"))) == 10
    with pytest.raises(DataError, match=r"several splits \(train, test\)"):
        list(read(tmp_path / "d"))
    with pytest.raises(DataError, match="no split 'dev'"):
        list(read(tmp_path / "d", split="dev"))
    with pytest.raises(DataError, match="one split only"):
        list(read(tmp_path / "d" / "train", split="train"))


def test_a_folder_with_a_file_missing(tmp_path: Path) -> None:
    save(tmp_path / "d", ROWS[:10], FEATURES)
    (tmp_path / "d" / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(DataError, match="is missing"):
        list(read(tmp_path / "d"))
    (tmp_path / "d" / "state.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        list(read(tmp_path / "d"))
