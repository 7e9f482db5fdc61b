"""Runs on Ray: the same folder as here, and nothing lost or asked again when a worker or the driver is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.remote import RemoteModel
from pilotfish.rows import AsyncStage, EachRow, ModelStage, Row, Rows, RowStage, RunReport, Stage, read_output, run
from pilotfish.rows.engine import Engine, Ray, engine_of
from pilotfish.rows.stage import Outcome
from tests.fakes import Answer, ScriptedUpstream, Seen
from tests.ray_up import kill_one, ray_up, workers

__all__ = ["ray_up"]

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("ray_up")
ONE, TWO = Ray(workers=1, cpus=0.5), Ray(workers=2, cpus=0.5)


class Fan(RowStage):
    """row n: dropped, kept, doubled, or rejected, by n mod 4."""

    def each(self, row: Row) -> Outcome:
        kind = row["n"] % 4
        if kind == 0:
            return None
        if kind == 3:
            raise DataError("three: mod 4")
        return [row | {"copy": copy} for copy in range(kind)]


class Once(Stage):
    """Does `what` at one row, the first time that it comes."""

    batch_size = 8

    def __init__(self, at: int, flag: Path, what: str = "kill", column: str = "n") -> None:
        self.at, self.column, self._flag, self._what = at, column, flag, what

    def process(self, rows: Rows) -> Rows:
        if any(row[self.column] == self.at for row in rows) and (self._what != "kill" or not self._flag.exists()):
            self._flag.touch()
            if self._what == "raise":
                raise ZeroDivisionError("as told")
            os.kill(os.getpid(), signal.SIGKILL)
        return rows


class Loaded(Stage):
    """Counts how often it is set up, in which process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def setup(self) -> None:
        with (self._folder / str(os.getpid())).open("a") as file:
            file.write("set up\n")

    def process(self, rows: Rows) -> Rows:
        time.sleep(0.01)
        return rows


def numbered(count: int) -> Rows:
    return [{"n": n, "text": f"text {n}"} for n in range(count)]


def went(rows: Any, stages: Any, out: Path, engine: Engine = "local", **options: Any) -> RunReport:
    return run(rows, stages, out, engine=engine, progress=False, **({"shard_rows": 40, "batch_size": 16} | options))


def files(folder: Path) -> dict[str, bytes]:
    """Return what a run leaves, but for times and for who was there."""
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in (".lock", "report.json")}
    report = json.loads((folder / "report.json").read_bytes())
    for name in ("seconds", "out_dir"):
        report.pop(name)
    for stage in report["stages"]:
        del stage["seconds"], stage["rows_per_second"]
    return found | {"report.json": json.dumps(report).encode()}


@pytest.mark.parametrize("shards", ["jsonl", "parquet"])
def test_the_folder_is_the_same_here_and_on_one_and_two_workers(tmp_path: Path, shards: str) -> None:
    source = tmp_path / "in.jsonl"
    lines = [json.dumps(row) for row in numbered(203)]
    lines.insert(77, '{"n": cut sh')
    source.write_text("\n".join(lines) + "\n")
    for name, engine in {"here": "local", "one": ONE, "two": TWO}.items():
        stages: list[Stage] = [Fan(), EachRow(_longer)]
        report = went(source, stages, tmp_path / name, engine, shards=shards)  # type: ignore[arg-type]
        assert (report.rows_in, report.rejected, report.unread, report.shards) == (203, 50, 1, 6)
    assert files(tmp_path / "one") == files(tmp_path / "here")
    assert files(tmp_path / "two") == files(tmp_path / "here")


def _longer(row: Row) -> Row:
    return row | {"length": len(row["text"]), "sign": "ß — 你好"}


def test_a_stage_is_set_up_once_a_worker_and_both_work(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    went(numbered(400), Loaded(tmp_path / "set"), tmp_path / "out", TWO)
    found = [path.read_text() for path in (tmp_path / "set").iterdir()]
    assert found == ["set up\n"] * 2


def test_stages_that_need_other_things_have_workers_of_their_own(tmp_path: Path) -> None:
    stages: list[Stage] = [EachRow(_with_pid("a")), Fan(), EachRow(_with_pid("b"))]
    stages[2].cpus = 0.25
    report = went(numbered(100), stages, tmp_path / "out", ONE)
    rows = list(read_output(tmp_path / "out"))
    assert len({row["a"] for row in rows}) == len({row["b"] for row in rows}) == 1
    assert rows[0]["a"] != rows[0]["b"]
    assert [stage.rows_in for stage in report.stages] == [100, 100, 75]
    assert [row["n"] for row in rows] == [n for n in range(100) for _ in range((0, 1, 2, 0)[n % 4])]


def _with_pid(column: str) -> Any:
    def put(row: Row) -> Row:
        return row | {column: os.getpid()}

    return put


def test_a_worker_killed_amid_rows_that_compute_loses_and_repeats_nothing(tmp_path: Path) -> None:
    stages = [EachRow(_longer), Once(101, tmp_path / "flag")]
    report = went(numbered(200), stages, tmp_path / "out", TWO)
    assert (tmp_path / "flag").exists()
    assert report.rows_out == 200
    (tmp_path / "flag").touch()
    went(numbered(200), stages, tmp_path / "here")
    assert _output(tmp_path / "out") == _output(tmp_path / "here")


def _output(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard-*"))}


def test_no_answer_is_asked_for_twice_when_a_worker_is_killed(tmp_path: Path) -> None:
    answered: list[str] = []

    def answer(seen: Seen) -> Answer:
        answered.append(seen.prompt)
        return Answer(seen.prompt[::-1])

    with ScriptedUpstream(answer) as upstream:
        model = RemoteModel("scripted", upstream.url, key_env=None, concurrency=4)
        asked = ModelStage(model, "Say {text}", concurrency=4)
        # All of a batch have their answers when the stage behind is reached, and that one kills.
        report = went(numbered(96), [asked, Once(50, tmp_path / "flag")], tmp_path / "out", ONE, batch_size=96)
        assert (tmp_path / "flag").exists()
        assert report.rows_out == 96
        assert sorted(upstream.prompts.values()) == [1] * 96
    assert [row["reply"] for row in read_output(tmp_path / "out")] == [f"Say text {n}"[::-1] for n in range(96)]
    assert not list((tmp_path / "out").glob(".*ed-*")) + list((tmp_path / "out").glob("*.journal"))


def test_workers_killed_from_outside_repeat_only_calls_that_were_under_way(tmp_path: Path) -> None:
    def answer(seen: Seen) -> Answer:
        return Answer(seen.prompt[::-1], delay=0.01)

    with ScriptedUpstream(answer) as upstream:
        model = RemoteModel("scripted", upstream.url, key_env=None, concurrency=4)
        stop = threading.Event()

        def killer() -> None:
            for calls in (20, 90, 150):
                while upstream.calls < calls and not stop.is_set():
                    time.sleep(0.001)
                kill_one()

        thread = threading.Thread(target=killer)
        thread.start()
        try:
            report = went(numbered(240), ModelStage(model, "Say {text}", concurrency=4), tmp_path / "out", TWO)
        finally:
            stop.set()
            thread.join()
        assert report.rows_out == 240
        assert max(upstream.prompts.values()) <= 3
        assert sum(upstream.prompts.values()) - 240 <= 3 * 4
    assert [row["reply"] for row in read_output(tmp_path / "out")] == [f"Say text {n}"[::-1] for n in range(240)]


def test_rows_that_kill_every_worker_are_named(tmp_path: Path) -> None:
    class Deadly(Stage):
        def process(self, rows: Rows) -> Rows:
            if any(row["n"] == 20 for row in rows):
                os._exit(9)
            return rows

    with pytest.raises(ModelError, match=r"3 workers died, one after another, of rows 17 to 32"):
        went(numbered(48), Deadly(), tmp_path / "out", ONE)


def test_an_error_names_the_rows_as_it_does_here(tmp_path: Path) -> None:
    for name, engine in {"here": "local", "ray": TWO}.items():
        with pytest.raises(ZeroDivisionError, match="as told") as caught:
            went(numbered(100), [Once(50, tmp_path / "flag", "raise")], tmp_path / name, engine)  # type: ignore[arg-type]
        assert caught.value.__notes__ == ["in Once, rows 49 to 64 of the list of rows"]
    assert "in process\n" in str(caught.value.__cause__)  # where in the worker
    # What was finished before is there, here and there.
    assert list((tmp_path / "ray").glob("shard-*"))


def test_begun_here_and_finished_on_ray_and_the_other_way_round(tmp_path: Path) -> None:
    with ScriptedUpstream(lambda seen: Answer(seen.prompt[::-1])) as upstream:
        model = RemoteModel("scripted", upstream.url, key_env=None, concurrency=4)
        stages = [ModelStage(model, "Say {text}", concurrency=4), Once(50, tmp_path / "flag", "raise")]
        ways: list[tuple[Engine, Engine]] = [("local", TWO), (TWO, "local")]
        for first, second in ways:
            out = tmp_path / f"{type(first).__name__}"
            before = upstream.calls
            with pytest.raises(ZeroDivisionError):
                went(numbered(100), stages, out, first)
            stages[1] = _harmless(stages[1])
            report = went(numbered(100), stages, out, second)
            assert report.rows_out == 100
            assert upstream.calls - before == 100
            stages[1] = Once(50, tmp_path / "flag", "raise")
    assert _output(tmp_path / "Ray") == _output(tmp_path / "str")


def _harmless(stage: Any) -> Any:
    stage._what = "kill"  # its flag is there
    return stage


def test_ctrl_c_ends_the_workers_and_keeps_what_is_finished(tmp_path: Path) -> None:
    class Slow(AsyncStage):
        concurrency = 4

        async def each(self, row: Row) -> Row:
            import asyncio

            await asyncio.sleep(0.01 if row["n"] < 60 else 60)
            return row

    def interrupt() -> None:
        while len(list((tmp_path / "out").glob("shard-*.done"))) < 1:
            time.sleep(0.01)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        went(numbered(80), Slow(), tmp_path / "out", ONE)
    assert time.monotonic() - began < 15
    thread.join()
    finished = (tmp_path / "out" / "shard-00001.journal").read_bytes().count(b"\n")
    assert finished == 20  # 40 to 59
    until = time.monotonic() + 5
    while workers() and time.monotonic() < until:
        time.sleep(0.05)
    assert not workers()
    assert not (tmp_path / "out" / ".session").exists()


_DRIVER = """
import sys
from tests.rows.test_ray import label
label(*sys.argv[1:])
"""


def label(url: str, out: str, address: str) -> None:
    """Ask about rows on a Ray that is up: what the killed driver does."""
    model = RemoteModel("scripted", url, key_env=None, concurrency=4)
    went(numbered(160), ModelStage(model, "Say {text}", concurrency=4), Path(out), Ray(1, 0.5, address=address))


@pytest.mark.parametrize("second", ["local", "ray"])
def test_a_driver_killed_with_kill_9_leaves_its_answers(tmp_path: Path, second: str) -> None:
    import ray

    address = ray.get_runtime_context().gcs_address

    def answer(seen: Seen) -> Answer:
        return Answer(seen.prompt[::-1], delay=0.02)

    with ScriptedUpstream(answer) as upstream:
        arguments = (upstream.url, str(tmp_path / "out"), address)
        driver = subprocess.Popen([sys.executable, "-c", _DRIVER, *arguments], cwd=ROOT)
        try:
            while upstream.calls < 60:
                assert driver.poll() is None
                time.sleep(0.001)
        finally:
            driver.kill()
            driver.wait()
        # At once: the worker that it leaves behind may still be at work.
        model = RemoteModel("scripted", upstream.url, key_env=None, concurrency=4)
        engine: Engine = TWO if second == "ray" else "local"
        report = went(numbered(160), ModelStage(model, "Say {text}", concurrency=4), tmp_path / "out", engine)
        assert report.rows_out == 160
        assert report.resumed >= 56
        assert sum(upstream.prompts.values()) - 160 <= 4  # those under way
    assert [row["reply"] for row in read_output(tmp_path / "out")] == [f"Say text {n}"[::-1] for n in range(160)]


def test_what_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    lock = threading.Lock()

    def held(row: Row) -> Row:
        with lock:
            return row

    with pytest.raises(ConfigError, match=r"^held cannot be sent to a worker: TypeError: cannot pickle"):
        went(numbered(3), held, tmp_path / "out", ONE)
    with pytest.raises(ConfigError, match=r"^Ray has 0 GPU, and the workers need 0\.5$"):
        went(numbered(3), Fan(), tmp_path / "gpu", Ray(gpus=0.5))
    with pytest.raises(ConfigError, match="unknown engine 'rya'; did you mean 'ray'"):
        went(numbered(3), Fan(), tmp_path / "gpu", "rya")  # type: ignore[arg-type]
    wrongs: list[dict[str, Any]] = [{"workers": 0}, {"cpus": -1.0}, {"gpus": float("nan")}, {"gpus": 1.5}]
    for wrong in wrongs:
        with pytest.raises(ConfigError):
            Ray(**wrong)
    assert engine_of("ray") == Ray()
