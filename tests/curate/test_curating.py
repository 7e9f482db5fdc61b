"""A curation: what is kept, what is not and why; resumed, repeated, changed, killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotfish.curate import Dropped, Sift, curate
from pilotfish.curate.barrier import Barrier, Decide
from pilotfish.errors import ConfigError, DataError
from pilotfish.rows import EachRow
from pilotfish.rows._row import Row


class Short(Sift):
    def __init__(self, least: int) -> None:
        self.least = least

    def judge(self, texts: Any) -> Any:
        return [
            Dropped(f"short: {len(t)} against {self.least}") if len(t) < self.least else {"size": len(t)} for t in texts
        ]


class Rank(Barrier):
    """Keeps the longest; what it needs to know of all rows is their lengths."""

    looks = 0

    def __init__(self, most: int) -> None:
        self.most = most

    def look(self, rows: Iterator[Row], folder: Path) -> Decide:
        Rank.looks += 1
        sizes = [len(row["text"]) for row in rows]
        kept = set(sorted(range(len(sizes)), key=lambda i: -sizes[i])[: self.most])
        return lambda number, row: {"rank": number} if number in kept else Dropped(f"rank: of row {number}")


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


ROWS: list[Row] = [{"text": "x" * size, "id": size} for size in (5, 30, 12, 3, 40, 21)]


def test_what_is_kept_and_what_is_not_stand_side_by_side(tmp_path: Path) -> None:
    report = curate([*ROWS, {"text": None}], [Short(10), Rank(2)], tmp_path, progress=False)
    assert [row["id"] for row in read(tmp_path / "kept.jsonl")] == [30, 40]
    assert read(tmp_path / "kept.jsonl")[0] == {"text": "x" * 30, "id": 30, "size": 30, "rank": 0}
    dropped = read(tmp_path / "dropped.jsonl")
    assert [(one["step"], one["reason"], one["row"]["id"]) for one in dropped] == [
        (1, "short: 5 against 10", 5),
        (1, "short: 3 against 10", 3),
        (2, "rank: of row 1", 12),
        (2, "rank: of row 3", 21),
    ]
    bad = read(tmp_path / "rejects.jsonl")
    assert [(one["reason"], one["raw"]) for one in bad] == [("no text: 'text' is null", '{"text": null}')]
    assert (report.rows_in, report.kept, report.dropped, report.rejected) == (7, 2, 4, 1)
    first, second = report.steps
    assert (first.rows_in, first.kept, first.dropped, first.rejected) == (7, 4, 2, 1)
    assert (second.rows_in, second.kept, second.dropped) == (4, 2, 2)
    assert first.reasons == {"short": 2} and second.reasons == {"rank": 2}
    assert first.dropped_samples["short"][0].keys() == {"reason", "text"}
    assert json.loads((tmp_path / "report.json").read_text()) == report.to_json()
    assert "2 of 7 rows kept (28.6%)" in str(report)


def test_a_plain_function_of_the_runner_is_a_step_too(tmp_path: Path) -> None:
    some = EachRow(lambda row: row if row["id"] > 20 else None)
    report = curate(ROWS, [some, Short(35)], tmp_path, progress=False)
    assert report.kept == 1 and report.steps[0].dropped == 3
    assert read(tmp_path / "dropped.jsonl")[0]["reason"] == "<lambda>: filtered out"


def test_finished_runs_are_not_repeated_and_a_changed_step_is_told(tmp_path: Path) -> None:
    Rank.looks = 0
    curate(ROWS, [Short(10), Rank(2), Short(20)], tmp_path, progress=False)
    assert curate(ROWS, [Short(10), Rank(2), Short(20)], tmp_path, progress=False).repeated and Rank.looks == 1
    with pytest.raises(ConfigError, match="cannot resume, the input or a step has changed; start again with --fresh"):
        curate(ROWS, [Short(10), Rank(3), Short(20)], tmp_path, progress=False)
    with pytest.raises(ConfigError, match="cannot resume"):
        curate(ROWS[1:], [Short(10), Rank(2), Short(20)], tmp_path, progress=False)
    before = (tmp_path / "steps" / "0" / "segment.json").stat().st_mtime_ns
    report = curate(ROWS, [Short(10), Rank(3), Short(20)], tmp_path, progress=False, fresh=True)
    assert report.kept == 3 and not report.repeated
    assert (tmp_path / "steps" / "0" / "segment.json").stat().st_mtime_ns == before, "what has not changed stays"


def test_a_barrier_may_come_first_and_a_step_may_get_nothing(tmp_path: Path) -> None:
    report = curate(ROWS, [Rank(1), Short(100), Rank(5)], tmp_path, progress=False)
    assert (report.kept, report.dropped) == (0, 6) and [step.rows_in for step in report.steps] == [6, 1, 0]
    assert (tmp_path / "kept.jsonl").read_bytes() == b""


def test_examples_do_not_depend_on_the_order(tmp_path: Path) -> None:
    rows = [{"text": f"{i} " + "x" * (i % 23)} for i in range(300)]
    there = curate(rows, [Short(12)], tmp_path / "a", progress=False).steps[0]
    back = curate(rows[::-1], [Short(12)], tmp_path / "b", progress=False).steps[0]
    assert there.kept_samples == back.kept_samples and len(there.kept_samples) == 3
    assert there.dropped_samples == back.dropped_samples


def test_a_row_that_no_file_can_hold_is_bad(tmp_path: Path) -> None:
    report = curate(
        [*ROWS, {"text": "x" * 50 + "\ud83d"}, {"text": "x" * 50, "more": ["\ud83d"]}],
        [Rank(9)],
        tmp_path,
        progress=False,
    )
    assert (report.kept, report.rejected) == (6, 2)


def test_faults_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one step"):
        curate(ROWS, [], tmp_path)
    with pytest.raises(ConfigError, match="standard input"):
        curate("-", [Short(1)], tmp_path)
    with pytest.raises(DataError, match="no column 'txt'; did you mean 'text'"):
        curate(ROWS, [Short(1)], tmp_path, text="txt")
    with pytest.raises(DataError, match="no such file"):
        curate(tmp_path / "none.jsonl", [Short(1)], tmp_path / "out")


CHILD = """
import sys, time
from tests.curate.test_curating import Rank, Short
from pilotfish.curate import curate
class Slow(Short):
    batch_size = 8
    def judge(self, texts):
        time.sleep(0.004)
        return super().judge(texts)
curate(sys.argv[1], [Slow(10), Rank(300), Slow(20)], sys.argv[2], progress=False, shard_rows=50)
"""


def test_kill_9_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    dice = random.Random(5)
    rows = [{"text": "x" * dice.randrange(60), "id": i} for i in range(600)]
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-c", CHILD, str(source), str(tmp_path / "out")]
    root = str(Path(__file__).parents[2])
    kills = 0
    for wait in (0.45, 0.55, 0.6, 0.65, 0.7):
        child = subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": root})
        time.sleep(wait * dice.uniform(0.8, 1.3))
        kills += child.poll() is None
        child.send_signal(signal.SIGKILL)
        child.wait()
    subprocess.run(command, cwd=root, env={**os.environ, "PYTHONPATH": root}, check=True, timeout=60)
    curate(source, [Short(10), Rank(300), Short(20)], tmp_path / "whole", progress=False)
    for name in ("kept.jsonl", "dropped.jsonl", "rejects.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert kills >= 1
