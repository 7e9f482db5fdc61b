"""Runs on Ray: the same folder as here, and nothing lost or asked again when a worker or the driver is killed."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from pilotfish.errors import ConfigError
from pilotfish.models.remote import RemoteModel
from pilotfish.rows import EachRow, ModelStage, Ray, Row, Rows, RunReport, Stage, read_output, run
from pilotfish.rows.engine import Engine, engine_of
from tests.fakes import Answer, ScriptedUpstream
from tests.ray_up import ray_up
from tests.rows.steps import Fan, Loaded, Once, longer

__all__ = ["ray_up"]

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("ray_up")
ONE, TWO = Ray(workers=1, cpus=0.5), Ray(workers=2, cpus=0.5)


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
    engines: dict[str, Engine] = {"here": "local", "two": TWO}
    if shards == "jsonl":
        engines["one"] = ONE
    for name, engine in engines.items():
        stages: list[Stage] = [Fan(), EachRow(longer)]
        report = went(source, stages, tmp_path / name, engine, shards=shards)
        assert (report.rows_in, report.rejected, report.unread, report.shards) == (203, 50, 1, 6)
    for name in engines:
        assert files(tmp_path / name) == files(tmp_path / "here")


def test_a_stage_is_set_up_once_a_worker_and_both_work(tmp_path: Path) -> None:
    class Both(Loaded):
        def process(self, rows: Rows) -> Rows:
            # A worker that is ready early must not have done all before the other one begins.
            until = time.monotonic() + 60
            while len(list(self._folder.iterdir())) < 2 and time.monotonic() < until:
                time.sleep(0.01)
            return super().process(rows)

    (tmp_path / "set").mkdir()
    went(numbered(400), Both(tmp_path / "set"), tmp_path / "out", TWO)
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


def output(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard-*"))}


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
    assert output(tmp_path / "Ray") == output(tmp_path / "str")


def _harmless(stage: Any) -> Any:
    stage._what = "kill"  # its flag is there
    return stage


def test_what_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    file = (tmp_path / "open").open("w")

    def held(row: Row) -> Row:
        file.write("row")
        return row

    with (
        file,
        pytest.raises(ConfigError, match=r"^held cannot be sent to a worker: PicklingError: Cannot"),
    ):
        went(numbered(3), held, tmp_path / "out", ONE)
    with pytest.raises(ConfigError, match=r"^Ray has 0 GPU, and the workers need 0\.5$"):
        went(numbered(3), Fan(), tmp_path / "gpu", Ray(gpus=0.5))
    with pytest.raises(ConfigError, match="unknown engine 'rya'; did you mean 'ray'"):
        went(numbered(3), Fan(), tmp_path / "gpu", "rya")  # type: ignore[arg-type]
    wrongs: list[dict[str, Any]] = [{"workers": 0}, {"cpus": -1.0}, {"gpus": float("nan")}, {"gpus": 1.5}]
    for wrong in wrongs:
        with pytest.raises(ConfigError):
            Ray(**wrong)
    with pytest.raises(ConfigError, match="Ray's client takes no results"):
        Ray(address="ray://head:10001")
    assert engine_of("ray") == Ray()
