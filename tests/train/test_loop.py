"""The loop: it learns, its gradient is the mean over all tokens however they are cut, and it resumes on its way."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pilotfish.errors import DataError, ModelError
from pilotfish.train.examples import Example
from pilotfish.train.log import read_log
from pilotfish.train.loop import fit
from pilotfish.train.plan import planned
from pilotfish.train.settings import Fit
from tests.forks import Forked, forked, module
from tests.tiny import write_lm

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")


class Rows:
    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    @property
    def count(self) -> float:
        return float(sum(one.count * one.weight for one in self.examples))


class Line(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Learns a number for each token: the loss of a token is (number - token)², its gradient known by hand."""

    def __init__(self, size: int = 50) -> None:
        super().__init__()
        self.number = torch.nn.Parameter(torch.zeros(size))
        self.seen: list[list[int]] = []

    def prepare(self, examples: Sequence[Example], step: int) -> Rows:
        return Rows(examples)

    def forward(self, rows: Rows) -> tuple[Any, dict[str, Any]]:
        self.seen.append([one.row for one in rows.examples])
        total = self.number.sum() * 0
        for one in rows.examples:
            for token in one.ids[one.start :]:
                total = total + one.weight * (self.number[token] - token) ** 2
        return total, {"noise": torch.rand(())}

    def looked(self, examples: Sequence[Example]) -> dict[str, float]:
        return {"loss": self(Rows(examples))[0].item()}


def examples(count: int = 40) -> list[Example]:
    return [Example(tuple(range(1, 3 + i % 9)), 1, row=i) for i in range(count)]


def run(task: Any, settings: Fit, folder: Path, rows: Sequence[Example] | None = None, held: int = 4) -> Any:
    rows = examples() if rows is None else rows
    return fit(task, rows, rows[:held], settings, folder, "id", progress=False)


def test_it_learns_and_tells(tmp_path: Path) -> None:
    task = Line()
    done = run(task, Fit(epochs=20, batch_tokens=40, rate=0.5, evaluate_every=10), tmp_path)
    assert done.steps == done.planned == len(planned(examples(), Fit(epochs=20, batch_tokens=40)))
    assert task.number[3].item() == pytest.approx(3, abs=0.2)
    looks = list(done.looks.values())
    assert looks[-1]["loss"] < 0.05 * looks[0]["loss"]
    rows = [row for row in read_log(tmp_path) if "rate" in row]
    assert [row["step"] for row in rows] == list(range(1, done.steps + 1))
    assert {"loss", "noise", "tokens", "norm", "rate", "seconds"} <= set(rows[0])
    assert done.tokens == sum(row["tokens"] for row in rows) == 20 * sum(one.count for one in examples())


def test_passes_of_unequal_length_weigh_by_their_tokens(tmp_path: Path) -> None:
    """The mean of the passes' means would give a short pass's tokens more weight."""
    rows = [Example(tuple(range(10)), 1), Example((0, 11), 1)]
    moved = []
    for batch_tokens, accumulate in ((100, 1), (10, 2)):
        task = Line()
        settings = Fit(steps=1, batch_tokens=batch_tokens, accumulate=accumulate, rate=1e-3, warmup=0, clip=None)
        run(task, settings, tmp_path / str(accumulate), rows, held=0)
        (row,) = read_log(tmp_path / str(accumulate))
        moved.append((row["loss"], row["norm"], row["tokens"]))
        assert len(task.seen) == accumulate
    assert moved[0] == pytest.approx(moved[1])
    assert moved[0][0] == pytest.approx((sum(i * i for i in range(1, 10)) + 121) / 10)
    assert moved[0][1] == pytest.approx(2 / 10 * (sum(i * i for i in range(1, 10)) + 121) ** 0.5)


def test_weights_count(tmp_path: Path) -> None:
    rows = [Example((0, 3), 1, weight=3.0), Example((0, 5), 1)]
    run(Line(), Fit(steps=1, batch_tokens=100, warmup=0), tmp_path, rows, held=0)
    assert read_log(tmp_path)[0]["loss"] == pytest.approx((3 * 9 + 25) / 4)


def test_examples_with_nothing_in_the_loss_are_harmless(tmp_path: Path) -> None:
    rows = [Example((1, 2, 3), 3), Example((0, 5), 1)]
    done = run(Line(), Fit(steps=2, batch_tokens=3), tmp_path, rows, held=1)
    assert done.looks[2]["loss"] == 0
    with pytest.raises(DataError, match="no token to predict"):
        run(Line(), Fit(steps=1), tmp_path / "none", rows[:1])


def test_early_stopping_takes_the_best(tmp_path: Path) -> None:
    class Worsens(Line):
        def looked(self, examples: Sequence[Example]) -> dict[str, float]:
            return {"loss": abs(self.number[1].item() - 0.3)}

    task = Worsens()
    done = run(task, Fit(epochs=50, batch_tokens=40, rate=0.05, warmup=0, evaluate_every=1, patience=3), tmp_path)
    assert done.steps == done.best + 3 < done.planned
    assert abs(task.number[1].item() - 0.3) == pytest.approx(done.looks[done.best]["loss"])
    assert done.looks[done.best]["loss"] == min(look["loss"] for look in done.looks.values())


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    class Breaks(Line):
        def forward(self, rows: Rows) -> tuple[Any, dict[str, Any]]:
            total, figures = super().forward(rows)
            return total / 0, figures

    with pytest.raises(ModelError, match="step 1: the loss or its gradient is not finite"):
        run(Breaks(), Fit(steps=3), tmp_path)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    run(Line(), Fit(steps=2), tmp_path)
    with pytest.raises(DataError, match="checkpoint of another run"):
        fit(Line(), examples(), [], Fit(steps=2), tmp_path, "other", progress=False)


def test_a_finished_run_is_not_repeated(tmp_path: Path) -> None:
    first, again = Line(), Line()
    run(first, Fit(steps=5, rate=0.1), tmp_path)
    done = run(again, Fit(steps=5, rate=0.1), tmp_path)
    assert done.steps == 5 and torch.equal(first.number, again.number)
    assert len(again.seen) == 0


def test_a_weight_that_never_has_a_gradient_does_not_keep_a_run_from_going_on(tmp_path: Path) -> None:
    class Idle(Line):
        def __init__(self) -> None:
            super().__init__()
            self.idle = torch.nn.Parameter(torch.ones(3))

    run(Idle(), Fit(steps=5, rate=0.1, every=2), tmp_path)
    again = Idle()
    assert run(again, Fit(steps=5, rate=0.1, every=2), tmp_path).steps == 5
    assert torch.equal(again.idle, torch.ones(3))


def test_tensorboard_has_the_figures(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run(Line(), Fit(steps=3, tensorboard=True), tmp_path)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("loss")] == [1, 2, 3]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    base = tmp_path_factory.mktemp("models")
    return {
        "student": str(write_lm(base / "student", "gpt2", seed=1)),
        "teacher": str(write_lm(base / "teacher", "gpt2", seed=2)),
    }


def started(job: dict[str, Any], **env: str) -> Forked:
    return forked(module("tests.train.runner"), json.dumps(job), env={**os.environ, **env})


def group(job: dict[str, Any]) -> list[Forked]:
    """Start two processes that train together, with the environment that torch's launcher gives them.

    The launcher itself is run by `tests/cli/test_distill.py`: it takes as long again.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    return [started(job, RANK=str(rank), LOCAL_RANK=str(rank), **env) for rank in range(2)]


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_log(folder) if "rate" in row]


def test_a_killed_run_goes_on_as_if_it_had_not_been(folders: dict[str, str], tmp_path: Path) -> None:
    settings = {"steps": 60, "batch_tokens": 200, "rate": 5e-3, "every": 7, "dtype": "float32"}
    whole = started({**folders, "fit": settings, "out": str(tmp_path / "whole")})
    killed = started({**folders, "fit": settings, "out": str(tmp_path / "killed")})
    deadline = time.monotonic() + 120
    while len(losses(tmp_path / "killed")) < 17 and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    at = len(losses(tmp_path / "killed"))
    assert 17 <= at < 60
    out, said = whole.communicate(timeout=120)
    assert whole.returncode == 0, said.decode()
    again = started({**folders, "fit": settings, "out": str(tmp_path / "killed")})
    assert again.communicate(timeout=120)[0] == out
    assert losses(tmp_path / "killed") == pytest.approx(losses(tmp_path / "whole"), rel=1e-6)


def test_two_processes_take_the_steps_of_one(folders: dict[str, str], tmp_path: Path) -> None:
    settings = {"epochs": 1, "accumulate": 2, "batch_tokens": 120, "rate": 5e-3, "dtype": "float32"}
    alone = started({**folders, "fit": settings, "out": str(tmp_path / "alone"), "dropout": False})
    both = group({**folders, "fit": settings, "out": str(tmp_path / "both"), "dropout": False})
    _, *said = ended(alone, *both)
    told = [line for out in said for line in out.splitlines() if "steps" in line]
    assert len(told) == 2 and told[0] == told[1]
    outs = ended(*group({**folders, "fit": settings, "out": str(tmp_path / "shared"), "shard": True}))
    assert losses(tmp_path / "both") == pytest.approx(losses(tmp_path / "alone"), rel=1e-5)
    # The teacher's layers, half of them in each process, teach the same.
    assert losses(tmp_path / "shared") == pytest.approx(losses(tmp_path / "alone"), rel=1e-5)
    held = [json.loads(line) for out in outs for line in out.splitlines() if "held" in line]
    assert len(held) == 2
    for one in held:
        assert one["held"] == pytest.approx(one["of"] / 2, rel=0.1)


def ended(*processes: Forked) -> list[str]:
    """Return what processes print, all of which end well."""
    found = []
    for process in processes:
        out, said = process.communicate(timeout=240)
        assert process.returncode == 0, said.decode()[-2000:]
        found.append(out.decode())
    return found


def test_a_shared_teacher_needs_several_processes() -> None:
    from pilotfish.errors import ConfigError
    from pilotfish.train.sharded import mesh_of

    with pytest.raises(ConfigError, match="accelerate launch"):
        mesh_of("cpu")


def test_settings_are_checked() -> None:
    from pilotfish.errors import ConfigError

    for wrong in ({"epochs": 0}, {"rank": -1}, {"rate": 0.0}, {"schedule": "up"}, {"dtype": "int8"}, {"patience": 2}):
        with pytest.raises(ConfigError):
            dataclasses.replace(Fit(), **wrong)
