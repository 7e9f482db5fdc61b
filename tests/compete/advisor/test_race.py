"""Successive halving."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotfish.compete.advisor.desk import Desk
from pilotfish.compete.advisor.marks import marks_by
from pilotfish.compete.advisor.race import FIRST, raced
from pilotfish.compete.advisor.ways import Way
from pilotfish.compete.watch import Budget, Watch
from pilotfish.errors import ModelError
from tests.compete.advisor.sums import Adds, task

KNOWS = {"small": 10, "a": 15, "b": 20, "c": 25, "d": 30, "large": 40}


def run(folder: Path, budget: Budget | None = None, broken: str = "") -> tuple[object, dict[str, Adds]]:
    one = task()
    marks, _ = marks_by("text", one)
    models = {name: Adds(name, knows, 0.0) for name, knows in KNOWS.items()}
    ways = [Way(name, name, "large" if name == "large" else "small", "plug-ins", "small") for name in KNOWS]
    budget = budget or Budget()

    def desk(way: Way) -> Desk:
        if way.key == broken:
            raise ModelError("no weights")
        return Desk(models[way.key], way.key, folder, marks, one.requests, budget, sure=False)

    rows = one.calibrate.tolist()
    return raced(ways, rows, desk, budget, Watch(), share=0.5), models


def test_the_better_half_goes_on_and_the_two_models_stay(tmp_path: Path) -> None:
    race, models = run(tmp_path)
    assert race.best("small").way.key == "d"  # type: ignore[attr-defined]
    lanes = race.lanes  # type: ignore[attr-defined]
    assert not lanes["small"].out and not lanes["large"].out and not lanes["d"].out
    assert lanes["a"].cut and len(models["a"].asked) == FIRST
    # Of four rivals two go on to twice the rows, then one to four times.
    asked = sorted(len(models[name].asked) for name in "abcd")
    assert asked == [FIRST, FIRST, 2 * FIRST, len(task().calibrate)]


def test_nothing_is_asked_twice_by_a_second_run(tmp_path: Path) -> None:
    first, _ = run(tmp_path)
    second, models = run(tmp_path)
    assert not any(model.asked for model in models.values())
    for key, lane in first.lanes.items():  # type: ignore[attr-defined]
        assert second.lanes[key].mean == lane.mean  # type: ignore[attr-defined]


def test_what_does_not_work_is_out_and_told(tmp_path: Path) -> None:
    race, _ = run(tmp_path, broken="d")
    assert "no weights" in race.lanes["d"].out and race.best("small").way.key == "c"  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="no weights"):
        run(tmp_path / "other", broken="large")


def test_without_time_nobody_runs(tmp_path: Path) -> None:
    race, _ = run(tmp_path, Budget(max_seconds=0.0))
    lanes = race.lanes.values()  # type: ignore[attr-defined]
    assert all(lane.answers is None or lane.out for lane in lanes)
