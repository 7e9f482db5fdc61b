"""Workers and drivers of runs on Ray, killed: nothing that was finished is lost, and no answer is asked for twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pilotfish.errors import ModelError
from pilotfish.models.remote import RemoteModel
from pilotfish.rows import AsyncStage, EachRow, ModelStage, Ray, Row, Rows, Stage, read_output
from pilotfish.rows.engine import Engine
from tests.fakes import Answer, ScriptedUpstream, Seen
from tests.ray_up import gone, kill_one, ray_up
from tests.rows.steps import Once, longer
from tests.rows.test_ray import ONE, TWO, numbered, output, went

__all__ = ["ray_up"]

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("ray_up")


def test_a_worker_killed_amid_rows_that_compute_loses_and_repeats_nothing(tmp_path: Path) -> None:
    stages = [EachRow(longer), Once(101, tmp_path / "flag")]
    report = went(numbered(200), stages, tmp_path / "out", TWO)
    assert (tmp_path / "flag").exists()
    assert report.rows_out == 200
    (tmp_path / "flag").touch()
    went(numbered(200), stages, tmp_path / "here")
    assert output(tmp_path / "out") == output(tmp_path / "here")


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

    # Three batches share a worker; those that die with the deadly one are not blamed.
    with pytest.raises(ModelError, match=r"4 workers died, one after another, of rows 17 to 32"):
        went(numbered(48), Deadly(), tmp_path / "out", ONE, batch_size=16)


def test_ctrl_c_ends_the_workers_and_keeps_what_is_finished(tmp_path: Path) -> None:
    class Slow(AsyncStage):
        concurrency = 4

        async def each(self, row: Row) -> Row:
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
    assert gone()
    assert not (tmp_path / "out" / ".session").exists()


_DRIVER = """
import sys
from tests.rows.test_ray_kills import label
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
