"""`pilotfish rows`: convert, dedupe, split and head on good and on bad files."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.cli.help import command, environment, error_of, pilotfish, read_rows, write_rows

ROWS = [{"id": n, "text": f"message number {n} about {word}", "label": word} for n, word in enumerate("abcd" * 6)]


def test_rows_survive_csv_and_parquet_and_the_pipe(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    write_rows(tmp_path / "a.jsonl", ROWS)
    assert pilotfish("rows", "convert", "a.jsonl", "b.parquet", cwd=tmp_path).stderr == "24 rows in b.parquet\n"
    piped = pilotfish("rows", "convert", "-", "-", cwd=tmp_path, stdin=(tmp_path / "b.parquet").read_bytes())
    assert [json.loads(line) for line in piped.stdout.splitlines()] == ROWS
    assert pilotfish("rows", "convert", "b.parquet", "c.csv", "--columns", "text,id", cwd=tmp_path).returncode == 0
    assert (tmp_path / "c.csv").read_text().splitlines()[:2] == ["text,id", "message number 0 about a,0"]


def test_bad_rows_go_where_the_message_says(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"t": "good"}\n{"t": cut\n{"t": "\xff"}\n{"t": "good"}\n')
    done = pilotfish("rows", "convert", "a.jsonl", "b.jsonl", cwd=tmp_path)
    assert done.returncode == 0
    assert "see b.jsonl.rejects.jsonl" in done.stderr
    assert [row["line"] for row in read_rows(tmp_path / "b.jsonl.rejects.jsonl")] == [2, 3]
    # A second run tells its own rejects only.
    pilotfish("rows", "convert", "a.jsonl", "b.jsonl", cwd=tmp_path)
    assert len(read_rows(tmp_path / "b.jsonl.rejects.jsonl")) == 2
    assert "line 2" in error_of(pilotfish("rows", "convert", "a.jsonl", "c.jsonl", "--strict", cwd=tmp_path))
    assert not (tmp_path / "c.jsonl").exists()


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", [], "the file is empty"),
        (b"a,b\n", ["--format", "csv"], "no rows in it"),
        (b'{"t": 1}\n', ["--columns", "tt"], "no column 'tt'; did you mean 't'?"),
        (b'{"t": 1}\n', ["--format", "jsonnl"], "unknown format 'jsonnl'; did you mean 'jsonl'?"),
        (b'{"t": 1}\n', ["--encoding", "latin-0"], "unknown encoding 'latin-0'"),
        (b'{"t": 1}\n', ["--to", "arrow"], "cannot write the format 'arrow'"),
        (b'{"t": 1}\n', ["--rejects", "a.jsonl"], "this is the input or the output"),
        (b"\xff\xfe{}\n", [], "use --encoding utf-16"),
    ],
)
def test_a_bad_file_is_one_line_and_leaves_nothing(
    tmp_path: Path, content: bytes, options: list[str], message: str
) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    assert message in error_of(pilotfish("rows", "convert", "a.jsonl", "b.jsonl", *options, cwd=tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl"]
    assert (tmp_path / "a.jsonl").read_bytes() == content


def test_a_line_of_50_megabytes_is_rejected_and_the_rest_kept(tmp_path: Path) -> None:
    with (tmp_path / "a.jsonl").open("wb") as file:
        file.write(b'{"t": "before"}\n{"t": "' + b"x" * 50_000_000 + b'"}\n{"t": "after"}\n')
    done = pilotfish("rows", "convert", "a.jsonl", "b.jsonl", cwd=tmp_path)
    assert done.returncode == 0
    assert read_rows(tmp_path / "b.jsonl") == [{"t": "before"}, {"t": "after"}]
    assert [row["line"] for row in read_rows(tmp_path / "b.jsonl.rejects.jsonl")] == [2]
    assert (tmp_path / "b.jsonl.rejects.jsonl").stat().st_size < 1_000_000


def test_latin_1_is_read_where_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("text,label\ncafé,1\n".encode("latin-1"))
    assert "--encoding latin-1" in error_of(pilotfish("rows", "head", "a.csv", cwd=tmp_path))
    assert json.loads(pilotfish("rows", "head", "a.csv", "--encoding", "latin-1", cwd=tmp_path).stdout) == {
        "text": "café",
        "label": "1",
    }


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", ({"t": "x" * 1000} for _ in range(300)))
    (tmp_path / "b.jsonl").write_text("old\n")
    done = pilotfish("rows", "convert", "a.jsonl", "b.jsonl", cwd=tmp_path, disk=100_000)
    assert "cannot write" in error_of(done)
    assert (tmp_path / "b.jsonl").read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl"]
    assert "the disk is full" in error_of(
        pilotfish("rows", "convert", "a.jsonl", "/dev/full", "--to", "csv", cwd=tmp_path)
    )


def test_a_pipe_is_written_to_not_replaced(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", ROWS)
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write("bad\n")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    done = pilotfish("rows", "convert", "a.jsonl", "pipe", "--to", "jsonl", cwd=tmp_path)
    reader.join(10)
    assert done.returncode == 0, done.stderr
    assert len(read[0].splitlines()) == len(ROWS)
    assert pipe.is_fifo()
    assert len(read_rows(tmp_path / "rejects.jsonl")) == 1


def test_head_stops_reading(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("rows", "head", "-", "-n", "2", "--format", "jsonl"),
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b'{"n": 1}\n{"n": 2}\n{"n": 3}\n')
    process.stdin.flush()
    # Its input is still open: only a reader that waits for the end of it would hang here.
    assert process.stdout.read() == b'{"n": 1}\n{"n": 2}\n'
    assert process.wait(20) == 0
    process.stdin.close()
    process.stdout.close()


def test_dedupe_removes_and_reports(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"text": "Where is my parcel?", "label": "delivery"},
        {"text": "where is my parcel", "label": "refund"},
        {"text": "Please cancel the order that I made on Monday", "label": "cancel"},
        {"text": "Please cancel the order that I made on Monday!!", "label": "cancel"},
        {"text": None, "label": "delivery"},
        {"text": "Something else entirely", "label": "other"},
    ]
    write_rows(tmp_path / "a.jsonl", rows)
    arguments = ["a.jsonl", "-", "--text", "text", "--label", "label", "--report", "found.json"]
    done = pilotfish("rows", "dedupe", *arguments, cwd=tmp_path)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [rows[0], rows[2], rows[5]]
    assert "2 of 5 rows removed" in done.stderr
    assert "1 groups of duplicates differ in 'label'" in done.stderr
    assert "is delivery" in done.stderr
    assert "is refund" in done.stderr
    assert "see rejects.jsonl" in done.stderr
    assert json.loads((tmp_path / "found.json").read_text())["removed"] == 2
    loose = pilotfish("rows", "dedupe", "a.jsonl", "-", "--text", "text", "--threshold", "0.01", cwd=tmp_path)
    assert len(loose.stdout.splitlines()) < 3
    wrong = pilotfish("rows", "dedupe", "a.jsonl", "-", "--text", "txt", cwd=tmp_path)
    assert "did you mean 'text'?" in error_of(wrong)
    wrong = pilotfish("rows", "dedupe", "a.jsonl", "-", "--text", "text", "--label", "lable", cwd=tmp_path)
    assert "did you mean 'label'?" in error_of(wrong)


def test_split_deals_out_every_row_once(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", ROWS)
    arguments = ["a.jsonl", "--parts", "train=.5,dev=.25,test=.25", "--stratify", "label", "--seed", "3"]
    for folder in ("one", "two"):
        assert pilotfish("rows", "split", *arguments, "--out", folder, cwd=tmp_path).returncode == 0
    parts = {name: read_rows(tmp_path / "one" / f"{name}.jsonl") for name in ("train", "dev", "test")}
    assert sorted(row["id"] for rows in parts.values() for row in rows) == list(range(24))
    assert {name: len(rows) for name, rows in parts.items()} == {"train": 12, "dev": 6, "test": 6}
    assert {row["label"] for row in parts["test"]} == set("abcd")
    assert parts["test"] == read_rows(tmp_path / "two" / "test.jsonl")
    how = json.loads((tmp_path / "one" / "split.json").read_text())
    assert (how["seed"], how["parts"]["train"], how["stratify"]) == (3, 12, "label")


def test_split_keeps_groups_together_and_drops_duplicates_first(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": f"text {n} {'xyz' * n}", "who": n // 3} for n in range(12)] + [
        {"text": "text 3 xyzxyzxyz!", "who": 9}
    ]
    write_rows(tmp_path / "a.jsonl", rows)
    arguments = ["a.jsonl", "--group", "who", "--text", "text", "--threshold", "1", "--out", "s", "--to", "csv"]
    done = pilotfish("rows", "split", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 of 13 rows removed" in done.stderr
    lines = {name: (tmp_path / "s" / f"{name}.csv").read_text().splitlines()[1:] for name in ("train", "test")}
    groups = {name: {line.rpartition(",")[2] for line in part} for name, part in lines.items()}
    assert len(lines["train"]) + len(lines["test"]) == 12
    assert not groups["train"] & groups["test"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--parts", "train=.8,test=.3"], "sum to 1"),
        (["--parts", "train"], "such as train=.8,test=.2"),
        (["--parts", "../x=.5,y=.5"], "cannot be a file's name"),
        (["--parts", "a=.5,a=.5"], "stands there twice"),
        (["--stratify", "lable"], "did you mean 'label'?"),
        (["--to", "xml"], "cannot write the format 'xml'"),
        (["--out", "a.jsonl/x"], "cannot write a.jsonl/x"),
    ],
)
def test_split_refuses_what_it_cannot_do(tmp_path: Path, options: list[str], message: str) -> None:
    write_rows(tmp_path / "a.jsonl", ROWS)
    done = pilotfish("rows", "split", "a.jsonl", "--out", "s", *options, cwd=tmp_path)
    assert message in error_of(done)
    assert not (tmp_path / "s" / "split.json").exists()


def test_a_failed_split_leaves_none_to_trust(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", ({"text": "x" * 1000 + str(n)} for n in range(300)))
    assert pilotfish("rows", "split", "a.jsonl", "--out", "s", cwd=tmp_path).returncode == 0
    error_of(pilotfish("rows", "split", "a.jsonl", "--out", "s", "--seed", "1", cwd=tmp_path, disk=100_000))
    assert not (tmp_path / "s" / "split.json").exists()
    assert not (tmp_path / "s" / "train.jsonl").exists()
