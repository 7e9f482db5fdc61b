from __future__ import annotations

import asyncio
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from pilotfish.errors import ConfigError, DataError, ModelError, UpstreamError
from pilotfish.rows._row import Row, Rows
from pilotfish.rows.rejects import Rejects
from pilotfish.rows.stage import AsyncStage, EachRow, Outcome, Reject, RowStage, Stage


@dataclass
class Lengths(Stage):
    """Batch-wise: adds lengths; refuses batches with a bad row."""

    column: str = "text"
    set_up: int = 0

    def setup(self) -> None:
        self.set_up += 1

    def process(self, rows: Rows) -> list[Outcome]:
        for row in rows:
            row["touched"] = row.get("touched", 0) + 1
            if not isinstance(row.get(self.column), str):
                raise DataError(f"not text: {row.get(self.column)!r}")
        return [row | {"length": len(row[self.column])} for row in rows]


class Mixed(RowStage):
    def each(self, row: Row) -> Outcome:
        number = row["n"]
        if number == 0:
            return None
        if number == 1:
            raise DataError("odd one: it is 1")
        if number == 2:
            return [row, row | {"copy": True}]
        if number == 3:
            return Reject("third: no")
        return row


class Slow(AsyncStage):
    def __init__(self, concurrency: int = 4) -> None:
        self.concurrency = concurrency
        self.now = self.most = 0
        self.closed = False

    async def each(self, row: Row) -> Outcome:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01 if row["n"] % 2 else 0.001)
        self.now -= 1
        if row["n"] == 7:
            raise UpstreamError("down")
        return row | {"seen": True}

    async def aclose(self) -> None:
        self.closed = True


def test_a_batch_with_a_bad_row_loses_that_row_only(tmp_path: Path) -> None:
    stage = Lengths()
    stage.rejects = Rejects(tmp_path / "r.jsonl")
    source: Rows = [{"text": "abc"}, {"text": None}, {"text": "x"}]
    assert stage(source) == [{"text": "abc", "touched": 1, "length": 3}, {"text": "x", "touched": 1, "length": 1}]
    assert source == [{"text": "abc"}, {"text": None}, {"text": "x"}]
    assert stage.report.reasons == {"not text": 1}
    assert (tmp_path / "r.jsonl").read_text() == (
        '{"source": "Lengths", "line": null, "reason": "not text: None", "raw": "{\\"text\\": null}"}\n'
    )
    stage([{"text": "y"}])
    assert stage.set_up == 1
    stage.end()
    stage([{"text": "y"}])
    assert stage.set_up == 2


def test_rows_may_go_multiply_or_be_rejected() -> None:
    stage = Mixed()
    assert stage([{"n": n} for n in range(6)]) == [{"n": 2}, {"n": 2, "copy": True}, {"n": 4}, {"n": 5}]
    report = stage.report
    assert (report.rows_in, report.rows_out, report.kept, report.dropped, report.rejected) == (6, 4, 3, 1, 2)
    assert report.reasons == {"odd one": 1, "third": 1}
    assert report.kept_ratio == 0.5
    assert report.seconds > 0
    assert report.rows_per_second is not None
    assert report.to_json()["kept_ratio"] == 0.5
    console = Console(record=True, width=100)
    console.print(report)
    assert "1 rejected: odd one" in console.export_text()


def test_columns_in_columns_out() -> None:
    stage = Mixed()
    batch = {"n": np.arange(5), "v": np.ones((5, 2)), "t": np.array(["a", "b", "c", "d", "e"])}
    found = stage(batch)
    assert found["n"].tolist() == [2, 2, 4]
    assert found["n"].dtype.kind == "i"
    assert found["t"].tolist() == ["c", "c", "e"]
    assert found["v"].tolist() == [[1.0, 1.0]] * 3
    assert found["copy"].tolist() == [None, True, None]
    nothing = Mixed()({"n": np.array([0, 0]), "t": np.array(["a", "b"])})
    assert {name: len(column) for name, column in nothing.items()} == {"n": 0, "t": 0}
    with pytest.raises(DataError, match="differ in length"):
        Mixed()({"n": np.arange(2), "t": np.array(["a"])})


def test_columns_through_an_overridden_call_as_ray_data_makes_it() -> None:
    class Counted(Mixed):
        entered = 0

        def __call__(self, batch: Any) -> Any:
            # Ray Data runs this in its one thread: a call from within it would wait for itself.
            self.entered += 1
            assert self.entered == 1
            return super().__call__(batch)

    assert Counted()({"n": np.array([4])})["n"].tolist() == [4]


def test_a_wrong_number_of_outcomes_is_a_bug_and_says_so() -> None:
    class Short(Stage):
        def process(self, rows: Rows) -> list[Outcome]:
            return list(rows[1:])

    with pytest.raises(TypeError, match=r"Short\.process gave 1 outcomes for 2 rows"):
        Short()([{"a": 1}, {"a": 2}])


@pytest.mark.parametrize("error", [ConfigError("no"), KeyError("x"), ZeroDivisionError()])
def test_errors_that_are_not_the_rows_stop_the_work(error: Exception) -> None:
    def fail(row: Row) -> Outcome:
        raise error

    with pytest.raises(type(error)):
        EachRow(fail)([{"a": 1}])


def test_async_rows_run_side_by_side_bounded_and_in_order() -> None:
    stage = Slow(concurrency=4)
    found = stage([{"n": n} for n in range(20)])
    assert [row["n"] for row in found] == [n for n in range(20) if n != 7]
    assert stage.most == 4
    assert stage.report.reasons == {"down": 1}
    assert stage([{"n": 1}]) == [{"n": 1, "seen": True}]
    stage.end()
    assert stage.closed


def test_async_seconds_are_wall_time() -> None:
    stage = Slow(concurrency=100)
    stage([{"n": 1} for _ in range(100)])
    assert 0.009 < stage.report.seconds < 0.5  # 100 x 0.01 s, side by side
    stage.end()


class Failing(AsyncStage):
    concurrency = 1

    def __init__(self, plan: str) -> None:
        self.plan = plan

    async def each(self, row: Row) -> Outcome:
        kind = self.plan[row["n"]]
        if kind == "u":
            raise UpstreamError("the endpoint is down")
        if kind == "m":
            raise ModelError("too long")
        return row


@pytest.mark.parametrize(
    ("plan", "error"),
    [
        ("u" * 20, "20 rows failed one after another; the first: the endpoint is down"),
        ("m" * 20, "the first 20 rows all failed; the first: too long"),
        ("." * 5 + "u" * 20, "20 rows failed one after another"),
        ("u" * 19 + ".", None),
        ("." + "m" * 30, None),
        (("u" * 19 + ".") * 3, None),
    ],
)
def test_it_gives_up_when_nothing_works(plan: str, error: str | None) -> None:
    stage = Failing(plan)
    rows = [{"n": n} for n in range(len(plan))]
    if error is None:
        assert len(stage(rows)) == plan.count(".")
    else:
        with pytest.raises(ModelError) as caught:
            stage(rows)
        assert error in str(caught.value)
    stage.end()


def test_config_holds_what_decides_the_output() -> None:
    assert Lengths("t").config() == {"column": "t", "set_up": 0}

    def one(row: Row) -> Row:
        return row | {"x": 1}

    def two(row: Row) -> Row:
        return row | {"x": 2}

    two.__qualname__ = one.__qualname__
    assert EachRow(one).config() != EachRow(two).config()
    assert EachRow(one).config() == EachRow(one).config()
    slow: Any = Slow(2).config()
    assert "concurrency" not in slow


def test_a_stage_that_has_worked_can_be_sent_to_a_worker() -> None:
    stage = Lengths()
    stage([{"text": "a"}])
    again = pickle.loads(pickle.dumps(stage))
    assert again([{"text": "ab"}]) == [{"text": "ab", "touched": 1, "length": 2}]
    assert again.report.rows_in == 1
    slow = Slow()
    slow([{"n": 2}])
    assert pickle.loads(pickle.dumps(slow))([{"n": 4}]) == [{"n": 4, "seen": True}]
    slow.end()
