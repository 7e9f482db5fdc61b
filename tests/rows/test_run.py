from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from pilotfish.errors import ConfigError, DataError, UpstreamError
from pilotfish.rows import _shards
from pilotfish.rows._row import Row, Rows
from pilotfish.rows.read import read
from pilotfish.rows.run import read_output, run
from pilotfish.rows.stage import AsyncStage, EachRow, Outcome, RowStage, Stage
from pilotfish.rows.write import write
from tests.rows.steps import Fan


class Asked(AsyncStage):
    """Counts what it is asked; fails where it is told to; may stop the run after some rows."""

    def __init__(self, column: str = "reply") -> None:
        self.column = column
        self._asked: Counter[str] = Counter()
        self._down: set[str] = set()
        self._stop_after: int | None = None
        self._stop_error: type[BaseException] = KeyboardInterrupt

    async def each(self, row: Row) -> Outcome:
        key = row["text"]
        if self._stop_after is not None and sum(self._asked.values()) >= self._stop_after:
            raise self._stop_error
        if key in self._down:
            raise UpstreamError("endpoint down: 503")
        self._asked[key] += 1
        await asyncio.sleep(0.0005 * (hash(key) % 3))
        return row | {self.column: key[::-1]}


def numbered(count: int) -> Rows:
    return [{"n": n, "text": f"text {n}"} for n in range(count)]


def expected(rows: Rows) -> Rows:
    return [row | {"copy": copy} for row in rows if row["n"] % 4 in (1, 2) for copy in range(row["n"] % 4)]


@pytest.mark.parametrize("shards", ["jsonl", "parquet"])
def test_output_is_in_input_order_over_shards(tmp_path: Path, shards: str) -> None:
    rows = numbered(103)
    report = run(rows, [Asked(), Fan()], tmp_path / "o", shard_rows=10, batch_size=7, shards=shards, progress=False)
    wanted = [row | {"reply": row["text"][::-1]} for row in expected(rows)]
    keys = ("n", "text", "reply", "copy")
    assert [{key: row[key] for key in keys} for row in read_output(tmp_path / "o")] == [
        {key: row[key] for key in keys} for row in wanted
    ]
    assert (report.rows_in, report.rows_out, report.rejected, report.shards) == (103, len(wanted), 25, 11)
    assert report.reasons == {"three": 25}
    rejects = [json.loads(line) for line in (tmp_path / "o" / "rejects.jsonl").read_text().splitlines()]
    assert [reject["row"] for reject in rejects] == [n + 1 for n in range(103) if n % 4 == 3]
    assert json.loads(rejects[0]["raw"])["n"] == 3
    assert not list((tmp_path / "o").glob("*.journal"))
    assert json.loads((tmp_path / "o" / "report.json").read_text())["rows_out"] == len(wanted)
    console = Console(record=True, width=120, file=io.StringIO())
    console.print(report)
    assert "103 rows in" in console.export_text()


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 40),
    shard_rows=st.integers(1, 15),
    batch_size=st.integers(1, 9),
    concurrency=st.integers(1, 5),
    stops=st.lists(st.integers(0, 30), max_size=3),
    error=st.sampled_from([KeyboardInterrupt, ZeroDivisionError]),
)
def test_stopped_anywhere_it_resumes_without_loss_or_repeat(
    tmp_path_factory: pytest.TempPathFactory,
    count: int,
    shard_rows: int,
    batch_size: int,
    concurrency: int,
    stops: list[int],
    error: type[BaseException],
) -> None:
    out = tmp_path_factory.mktemp("o")
    rows = numbered(count)
    first, second = Asked(), Asked("second")
    options: dict[str, Any] = {
        "shard_rows": shard_rows,
        "batch_size": batch_size,
        "concurrency": concurrency,
        "progress": False,
    }
    for stop in stops:
        second._stop_after = sum(second._asked.values()) + stop
        second._stop_error = error
        with suppress(error):
            run(rows, [first, Fan(), second], out, **options)
    second._stop_after = None
    report = run(rows, [first, Fan(), second], out, **options)
    wanted = [row | {"reply": row["text"][::-1], "second": row["text"][::-1]} for row in expected(rows)]
    assert list(read_output(out)) == [
        {"n": r["n"], "text": r["text"], "reply": r["reply"], "copy": r["copy"], "second": r["second"]} for r in wanted
    ]
    assert report.rows_in == count
    # At most the rows under way when it stopped are asked about again; on an error they come to their end.
    repeats = sum(max(0, asked - 1) for asked in first._asked.values())
    assert repeats <= (len(stops) * concurrency if error is KeyboardInterrupt else 0)
    # The second stage sees up to two rows for each row of the input, which are finished together.
    repeats = sum(max(0, asked - 2) for asked in second._asked.values())
    assert repeats <= len(stops) * (concurrency + 1)


def test_a_finished_run_does_nothing_when_run_again(tmp_path: Path) -> None:
    stage = Asked()
    run(numbered(30), stage, tmp_path / "o", shard_rows=7, progress=False)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "o").glob("shard-*")}
    report = run(numbered(30), stage, tmp_path / "o", shard_rows=7, progress=False)
    assert report.resumed == 30
    assert set(stage._asked.values()) == {1}
    assert before == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "o").glob("shard-*")}


def test_rows_that_the_endpoint_failed_on_are_tried_anew(tmp_path: Path) -> None:
    stage = Asked()
    stage._down = {"text 3", "text 11"}
    report = run(numbered(20), [stage, EachRow(last)], tmp_path / "o", shard_rows=8, progress=False)
    assert (report.rows_out, report.rejected, report.again) == (18, 2, 2)
    assert "Run again to retry the 2" in report.summary()
    stage._down = {"text 11"}
    report = run(numbered(20), [stage, EachRow(last)], tmp_path / "o", shard_rows=8, progress=False)
    assert (report.rows_out, report.again, report.resumed) == (19, 1, 18)
    stage._down = set()
    report = run(numbered(20), [stage, EachRow(last)], tmp_path / "o", shard_rows=8, progress=False)
    assert (report.rows_out, report.again, report.resumed) == (20, 0, 19)
    assert [row["n"] for row in read_output(tmp_path / "o")] == list(range(20))
    assert set(stage._asked.values()) == {1}
    assert (tmp_path / "o" / "rejects.jsonl").read_text() == ""
    assert not list((tmp_path / "o").glob("*.journal"))


def last(row: Row) -> Row:
    return row | {"last": True}


def test_an_endpoint_that_is_down_stops_the_run_and_a_later_one_goes_on(tmp_path: Path) -> None:
    stage = Asked()
    # Many more than twenty: the last good rows may come to their end among the first bad ones.
    stage._down = {f"text {n}" for n in range(40, 400)}
    with pytest.raises(UpstreamError, match=r"20 rows failed one after another; the first: endpoint down: 503"):
        run(numbered(400), stage, tmp_path / "o", progress=False)
    with pytest.raises(DataError, match="not the folder of a finished run"):
        read_output(tmp_path / "o")
    stage._down = set()
    assert run(numbered(400), stage, tmp_path / "o", progress=False).rows_out == 400
    assert set(stage._asked.values()) == {1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": numbered(21)}, "the input has changed"),
        ({"stages": [Asked("other")]}, r"'column' of stage 1 \(Asked\) has changed"),
        ({"stages": [Asked(), Fan()]}, "the stages are others"),
        ({"shard_rows": 9}, "shard_rows was 8, not 9"),
        ({"shards": "parquet"}, "shards was jsonl, not parquet"),
    ],
)
def test_another_run_in_the_same_folder_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"source": numbered(20), "stages": [Asked()], "shard_rows": 8, "progress": False}
    run(out_dir=tmp_path / "o", **options)
    with pytest.raises(ConfigError, match=message + ".*--fresh"):
        run(out_dir=tmp_path / "o", **options | change)
    fresh = run(out_dir=tmp_path / "o", **options | change, resume=False)
    assert fresh.resumed == 0
    assert len(list(read_output(tmp_path / "o"))) == fresh.rows_out


def test_a_changed_file_is_refused_and_a_moved_one_is_not(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    write(numbered(10), source)
    run(source, last, tmp_path / "o", progress=False)
    assert run(source.rename(tmp_path / "moved.csv"), last, tmp_path / "o", progress=False).resumed == 10
    with (tmp_path / "moved.csv").open("a") as file:
        file.write("10,text 10\n")
    with pytest.raises(ConfigError, match="the input has changed"):
        run(tmp_path / "moved.csv", last, tmp_path / "o", progress=False)
    with pytest.raises(ConfigError, match="the input has changed"):
        run(tmp_path / "moved.csv", last, tmp_path / "o", progress=False, read_options={"encoding": "latin-1"})


def test_a_class_of_ours_may_move_from_version_to_version(tmp_path: Path) -> None:
    stage = EachRow(lambda row: row)
    run([{"text": "a"}], stage, tmp_path / "out", progress=False)
    path = tmp_path / "out" / "run.json"
    noted = json.loads(path.read_bytes())
    assert noted["stages"][0]["class"] == "EachRow"
    noted["stages"][0]["class"] = "pilotfish.elsewhere.EachRow"  # as the first versions noted it
    path.write_text(json.dumps(noted), encoding="utf-8")
    assert run([{"text": "a"}], stage, tmp_path / "out", progress=False).rows_out == 1


def test_what_the_reader_rejects_is_in_the_rejects_once(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"n": 1, "text": "a"}\n{"n"\n{"n": 3, "text": "b"}\n')
    for _ in range(2):
        report = run(source, Fan(), tmp_path / "o", progress=False)
        lines = [json.loads(line) for line in (tmp_path / "o" / "rejects.jsonl").read_text().splitlines()]
        assert [(line["line"], line["reason"].split(":")[0]) for line in lines] == [
            (2, "malformed JSON"),
            (None, "three"),
        ]
        assert (report.rows_in, report.unread, report.rejected) == (2, 1, 1)


def test_a_shard_that_was_changed_is_not_trusted(tmp_path: Path) -> None:
    run(numbered(20), last, tmp_path / "o", shard_rows=8, progress=False)
    shard = tmp_path / "o" / "shard-00001.jsonl"
    data = shard.read_bytes()
    shard.write_bytes(data.replace(b"text 9", b"text 8"))
    with pytest.raises(DataError, match=r"shard-00001\.jsonl: was changed"):
        run(numbered(20), last, tmp_path / "o", shard_rows=8, progress=False)
    shard.unlink()
    with pytest.raises(DataError, match=r"shard-00001\.jsonl: is gone"):
        run(numbered(20), last, tmp_path / "o", shard_rows=8, progress=False)


def test_a_shard_without_its_marker_is_made_anew_from_the_journal(tmp_path: Path) -> None:
    stage = Asked()
    stage._down = {"text 12"}  # so that the journal of shard 1 stays
    run(numbered(20), stage, tmp_path / "o", shard_rows=8, progress=False)
    (tmp_path / "o" / "shard-00001.done").unlink()
    (tmp_path / "o" / "shard-00001.jsonl").write_bytes(b"half-writ")
    stage._down = set()
    assert run(numbered(20), stage, tmp_path / "o", shard_rows=8, progress=False).rows_out == 20
    assert set(stage._asked.values()) == {1}
    assert [row["n"] for row in read_output(tmp_path / "o")] == list(range(20))


def test_a_run_that_ends_between_shard_and_marker_makes_the_shard_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Asked()
    stage._down = {"text 3"}
    run(numbered(10), stage, tmp_path / "o", progress=False)
    stage._down = set()

    real = _shards.sha256

    def killed(path: Path) -> str:
        if stage._asked["text 3"]:  # not when it takes stock, but once the new shard stands
            raise KeyboardInterrupt
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(_shards, "sha256", killed)
        with pytest.raises(KeyboardInterrupt):
            run(numbered(10), stage, tmp_path / "o", progress=False)
    with pytest.raises(DataError, match="a shard is missing"):
        read_output(tmp_path / "o")
    assert run(numbered(10), stage, tmp_path / "o", progress=False).rows_out == 10
    assert [row["n"] for row in read_output(tmp_path / "o")] == list(range(10))
    assert set(stage._asked.values()) == {1}


def test_an_answer_is_paid_for_once_though_a_later_stage_fails(tmp_path: Path) -> None:
    class Fragile(RowStage):
        _broken = True

        def each(self, row: Row) -> Outcome:
            if self._broken and row["n"] == 7:
                raise ZeroDivisionError
            return row | {"after": row["reply"]}

    stage, fragile = Asked(), Fragile()
    with pytest.raises(ZeroDivisionError):
        run(numbered(20), [stage, fragile], tmp_path / "o", batch_size=4, progress=False)
    Fragile._broken = False
    report = run(numbered(20), [stage, fragile], tmp_path / "o", batch_size=4, progress=False)
    assert report.rows_out == 20
    assert [row["after"] for row in read_output(tmp_path / "o")] == [row["text"][::-1] for row in numbered(20)]
    assert set(stage._asked.values()) == {1}


def test_an_error_in_a_stage_names_the_rows_and_is_resumable(tmp_path: Path) -> None:
    stage = Asked()

    def fails(row: Row) -> Row:
        return {"x": 1 / (row["n"] - 5)}

    with pytest.raises(ZeroDivisionError) as caught:
        run(numbered(8), [stage, fails], tmp_path / "o", batch_size=4, progress=False)
    assert any("in fails, rows 5 to 8" in note for note in caught.value.__notes__)


def test_shards_without_rows(tmp_path: Path) -> None:
    def drop(row: Row) -> Row | None:
        return row if row["n"] == 17 else None

    report = run(numbered(20), drop, tmp_path / "o", shard_rows=8, shards="parquet", progress=False)
    assert (report.rows_out, report.shards) == (1, 3)
    assert list(read_output(tmp_path / "o")) == numbered(20)[17:18]
    assert len(list((tmp_path / "o").glob("*.parquet"))) == 1


def test_standard_input_is_kept_so_that_the_run_can_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(b'{"text": "a"}\n{"text": "b"}\n')

    monkeypatch.setattr(sys, "stdin", Stdin())
    stage = Asked()
    stage._stop_after = 1
    with pytest.raises(KeyboardInterrupt):
        run("-", stage, tmp_path / "o", batch_size=1, concurrency=1, progress=False)
    stage._stop_after = None
    report = run("-", stage, tmp_path / "o", batch_size=1, concurrency=1, progress=False)  # the pipe is empty now
    assert (report.rows_out, report.resumed) == (2, 1)
    assert set(stage._asked.values()) == {1}


def test_wrong_settings_and_inputs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one stage"):
        run(numbered(1), [], tmp_path / "o")
    with pytest.raises(ConfigError, match="shard_rows must be at least 1"):
        run(numbered(1), last, tmp_path / "o", shard_rows=0)
    with pytest.raises(ConfigError, match="jsonl or parquet"):
        run(numbered(1), last, tmp_path / "o", shards="csv")
    with pytest.raises(ConfigError, match="unknown read option 'colums'; did you mean 'columns'"):
        run(numbered(1), last, tmp_path / "o", read_options={"colums": ["a"]})
    with pytest.raises(DataError, match="line 2: malformed JSON"):
        (tmp_path / "bad.jsonl").write_text('{"a": 1}\n{')
        run(tmp_path / "bad.jsonl", last, tmp_path / "p", read_options={"strict": True}, progress=False)
    with pytest.raises(DataError, match="the list is empty"):
        run([], last, tmp_path / "o")
    with pytest.raises(DataError, match="no such file"):
        run(tmp_path / "absent.csv", last, tmp_path / "o")
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "shard-00000.jsonl").write_text("{}")
    with pytest.raises(ConfigError, match=r"holds shards but no run\.json"):
        run(numbered(1), last, tmp_path / "strange", resume=False)
    assert (tmp_path / "strange" / "shard-00000.jsonl").exists()


def test_fresh_removes_its_own_files_only(tmp_path: Path) -> None:
    run(numbered(5), last, tmp_path / "o", progress=False)
    (tmp_path / "o" / "notes.txt").write_text("mine")
    run(numbered(3), last, tmp_path / "o", resume=False, progress=False)
    assert (tmp_path / "o" / "notes.txt").read_text() == "mine"
    assert len(list(read_output(tmp_path / "o"))) == 3


HOLD = """
import sys, time
from pilotfish.rows.run import run
def slow(row):
    print("at work", flush=True)
    time.sleep(60)
run([{"a": 1}], slow, sys.argv[1], progress=False)
"""


def test_two_runs_cannot_share_a_folder_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "o")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder, holder.stdout:
        assert holder.stdout.readline() == "at work\n"
        with pytest.raises(ConfigError, match=f"another run \\(process {holder.pid}\\) is writing here"):
            run([{"a": 1}], last, tmp_path / "o", progress=False)
        holder.kill()
    with pytest.raises(ConfigError, match=r"has changed|are others"):  # no lock now; another stage is another run
        run([{"a": 1}], last, tmp_path / "o", progress=False)
    assert run([{"a": 1}], last, tmp_path / "o", resume=False, progress=False).rows_out == 1


INTERRUPTED = """
import asyncio, sys
from pilotfish.rows.run import run
from pilotfish.rows.stage import AsyncStage
class Wait(AsyncStage):
    async def each(self, row):
        print("at work", flush=True)
        await asyncio.sleep(0 if row["n"] < 3 else 60)
        return row
try:
    run([{"n": n} for n in range(10)], Wait(), sys.argv[1], concurrency=1, progress=False)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_ctrl_c_ends_at_once_and_keeps_what_is_finished(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path / "o")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process, process.stdout:
        for _ in range(4):
            process.stdout.readline()
        start = time.monotonic()
        process.send_signal(2)
        assert process.wait(20) == 130
        assert time.monotonic() - start < 5
    journal = (tmp_path / "o" / "shard-00000.journal").read_text()
    assert len(journal.splitlines()) == 3


def test_a_full_disk_is_one_clear_line_and_the_run_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite
    room = 700

    def nearly_full(handle: int, data: Any, offset: int) -> int:
        if offset + len(data) > room:
            raise OSError(28, "No space left on device")
        return real(handle, data, offset)

    stage = Asked()
    monkeypatch.setattr(os, "pwrite", nearly_full)
    with pytest.raises(DataError, match=r"shard-00000\.journal: the disk is full; free some space and run again"):
        run(numbered(50), stage, tmp_path / "o", concurrency=1, progress=False)
    monkeypatch.undo()
    report = run(numbered(50), stage, tmp_path / "o", concurrency=1, progress=False)
    assert report.rows_out == 50
    assert report.resumed > 3
    assert sum(stage._asked.values()) <= 52


def test_progress_goes_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(numbered(50), last, tmp_path / "o")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "50 of 50" in captured.err
    assert "/s" in captured.err


def test_a_run_inside_a_running_loop(tmp_path: Path) -> None:
    async def notebook() -> int:
        return run(numbered(5), Asked(), tmp_path / "o", progress=False).rows_out

    assert asyncio.run(notebook()) == 5


class Batches(Stage):
    batch_size = 5

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._closed = 0

    def process(self, rows: Rows) -> list[Outcome]:
        self._sizes.append(len(rows))
        return list(rows)

    def close(self) -> None:
        self._closed += 1


def test_a_stage_gets_no_more_than_its_batch(tmp_path: Path) -> None:
    def fan(row: Row) -> Rows:
        return [row] * 3

    stage = Batches()
    run(numbered(20), [fan, stage], tmp_path / "o", batch_size=4, progress=False)
    assert max(stage._sizes) == 5
    assert sum(stage._sizes) == 60
    assert stage._closed == 1


def test_the_output_is_rows_for_the_next_run(tmp_path: Path) -> None:
    run(numbered(20), last, tmp_path / "a", shard_rows=8, progress=False)
    rows = list(read_output(tmp_path / "a"))
    run(rows, Fan(), tmp_path / "b", progress=False)
    assert list(read(tmp_path / "b" / "shard-00000.jsonl")) == [
        row | {"last": True, "copy": row["copy"]} for row in expected(numbered(20))
    ]


def test_half_a_surrogate_pair_that_a_stage_makes_is_rejected_and_the_output_can_be_read(tmp_path: Path) -> None:
    def half(row: Row) -> Row:
        return (
            {"text": row["text"], "said": {"deep": ["\ud800"]}} if row["text"] == "b" else {**row, "said": "\U0001f600"}
        )

    report = run([{"text": "a"}, {"text": "b"}], half, tmp_path / "out", progress=False)
    assert (report.rows_out, report.rejected) == (1, 1)
    assert list(read_output(tmp_path / "out")) == [{"text": "a", "said": "\U0001f600"}]
    told = json.loads((tmp_path / "out" / "rejects.jsonl").read_text(encoding="utf-8"))
    assert told["reason"] == "half a surrogate pair in said" and told["row"] == 2
