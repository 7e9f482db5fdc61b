from __future__ import annotations

import datetime
import decimal
import gzip
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows import _datasets_out
from pilotfish.rows._row import Rows
from pilotfish.rows.read import read
from pilotfish.rows.write import write

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "csv", "tsv", "csv.gz", "parquet"])
@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.fixed_dictionaries({"text": TEXT, "label": TEXT}), min_size=1, max_size=10))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, ending: str, rows: Rows) -> None:
    path = tmp_path_factory.mktemp("w") / f"a.{ending}"
    assert write(rows, path) == len(rows)
    assert list(read(path, strict=True)) == rows
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_values_become_plain_in_json(tmp_path: Path) -> None:
    row = {
        "n": np.float32(0.5),
        "v": np.arange(3),
        "d": datetime.date(2024, 2, 29),
        "m": decimal.Decimal("1.10"),
        "p": Path("a/b"),
        "s": "half \ud800 pair",
    }
    write([row], tmp_path / "a.jsonl")
    assert json.loads((tmp_path / "a.jsonl").read_bytes()) == {
        "n": 0.5,
        "v": [0, 1, 2],
        "d": "2024-02-29",
        "m": "1.10",
        "p": "a/b",
        "s": "half \ud800 pair",
    }


def test_values_in_csv(tmp_path: Path) -> None:
    rows: Rows = [{"a": None, "b": [1, "x"], "c": True, "d": 1.5, "e": np.int64(3)}, {"a": "y"}]
    write(rows, tmp_path / "a.csv")
    assert list(read(tmp_path / "a.csv")) == [
        {"a": "", "b": '[1, "x"]', "c": "true", "d": "1.5", "e": "3"},
        {"a": "y", "b": "", "c": "", "d": "", "e": ""},
    ]


def test_a_datasets_folder_is_what_the_library_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    rows: Rows = [{"text": f"t {n}", "tags": ["a"] * (n % 3), "facts": {"n": n}} for n in range(9000)]
    rows.append({"text": "late", "score": 0.5})
    folder = tmp_path / "set"
    for _ in range(2):  # what stood there is replaced
        assert write(rows, folder, "datasets") == 9001
        assert [entry.name for entry in tmp_path.iterdir()] == ["set"]
    loaded = datasets.load_from_disk(str(folder))
    assert loaded.column_names == ["text", "tags", "facts", "score"] and loaded.num_rows == 9001
    assert loaded[8] == {**rows[8], "score": None} and loaded[9000]["score"] == 0.5
    assert [row["text"] for row in read(folder)] == [row["text"] for row in rows]


def test_a_large_datasets_folder_has_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_datasets_out, "FILE_BYTES", 1000)
    rows: Rows = [{"text": f"t {n}"} for n in range(10000)]
    write(rows, tmp_path / "set", "datasets")
    assert len(list((tmp_path / "set").glob("data-*-of-00003.arrow"))) == 3
    assert list(read(tmp_path / "set")) == rows


def test_a_datasets_folder_replaces_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="something else than a datasets folder"):
        write([{"a": 1}], tmp_path / "notes", "datasets")
    with pytest.raises(ConfigError, match="standard output"):
        write([{"a": 1}], "-", "datasets")
    with pytest.raises(DataError, match="no rows to write"):
        write([], tmp_path / "empty", "datasets")
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes"]


def test_parquet_takes_columns_and_types_that_show_late(tmp_path: Path) -> None:
    rows: Rows = [{"a": n, "b": None} for n in range(5000)]
    rows += [{"a": n + 0.5, "b": "x"} for n in range(5000)]
    rows += [{"a": None, "b": None, "c": {"d": 1}}]
    path = tmp_path / "a.parquet"
    assert write(iter(rows), path) == 10_001
    found = list(read(path))
    assert found[0] == {"a": 0.0, "b": None, "c": None}
    assert found[9_999] == {"a": 4999.5, "b": "x", "c": None}
    assert found[10_000] == {"a": None, "b": None, "c": {"d": 1}}


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("a.csv", [{"a": 1}, {"a": 1, "b": 2}], "row 2 has a column 'b' that the first row lacks"),
        ("a.csv", [], "no rows to write"),
        ("a.parquet", [], "no rows to write"),
        ("a.parquet", [{"a": 1}, {"a": "x"}], "column 'a' does not fit into Parquet"),
        ("a.parquet", [{"a": 1}] * 4096 + [{"a": "x"}] * 5000, "a column's type changes between rows"),
        ("a.jsonl", [{"a": 1}, {"a": {1, 2}}], "row 2 has no form in JSON: a value of type set"),
        ("a.csv", [{"a": {1, 2}}], "row 1, column 'a'"),
    ],
)
def test_what_does_not_fit_leaves_no_file_and_the_old_one_alone(
    tmp_path: Path, name: str, rows: Rows, message: str
) -> None:
    (tmp_path / name).write_text("old")
    with pytest.raises(DataError) as caught:
        write(rows, tmp_path / name)
    assert message in str(caught.value)
    assert (tmp_path / name).read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_error_in_the_rows_leaves_nothing(tmp_path: Path) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield {"a": 1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(rows(), tmp_path / "a.jsonl")
    assert not list(tmp_path.iterdir())


def test_an_error_of_another_file_is_not_taken_for_ours(tmp_path: Path) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield {"a": (tmp_path / "absent").read_text()}

    with pytest.raises(FileNotFoundError, match="absent"):
        write(rows(), tmp_path / "a.jsonl")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        write([{"a": 1}], tmp_path / "file" / "a.jsonl")


def test_formats_are_told_by_name_or_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot tell the format"):
        write([{"a": 1}], tmp_path / "a.out")
    with pytest.raises(ConfigError, match="did you mean 'parquet'"):
        write([{"a": 1}], tmp_path / "a", format="parquets")
    write([{"a": 1}], tmp_path / "a.out", format="jsonl")
    assert (tmp_path / "a.out").read_text() == '{"a": 1}\n'


def test_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdout:
        buffer = io.BytesIO()

    monkeypatch.setattr(sys, "stdout", Stdout())
    write([{"a": "ü"}], "-")
    write([{"a": "ü"}], "-", format="csv")
    assert Stdout.buffer.getvalue().decode() == '{"a": "ü"}\na\nü\n'


def test_the_same_rows_give_the_same_gzip_bytes(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write([{"a": 1}], tmp_path / name)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == b'{"a": 1}\n'


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").write_text("old")
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")
    write([{"a": 1}], tmp_path / "link.jsonl")
    assert (tmp_path / "link.jsonl").is_symlink()
    assert (tmp_path / "real.jsonl").read_text() == '{"a": 1}\n'


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"a\.jsonl: the disk is full"):
        write([{"a": 1}], tmp_path / "a.jsonl")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="cannot write"):
        write([{"a": 1}], tmp_path / "a.jsonl")
