"""Token buckets never give more than they may; budgets outlive the process and are shared."""

from __future__ import annotations

import datetime
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.serve._ledger import _PRESENT, Ledger
from pilotfish.serve.limits import Bucket, Budget


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def at(*date: int) -> float:
    return datetime.datetime(*date, tzinfo=datetime.UTC).timestamp()  # type: ignore[arg-type,misc]


steps = st.lists(st.tuples(st.floats(0, 20), st.floats(0.1, 8)), max_size=60)


@given(rate=st.floats(0.01, 50), burst=st.floats(1, 40), steps=steps)
def test_never_more_than_burst_and_rate(rate: float, burst: float, steps: list[tuple[float, float]]) -> None:
    clock = Clock()
    bucket = Bucket(rate, burst, clock)
    taken: list[tuple[float, float]] = []
    for pause, units in steps:
        clock.now += pause
        if bucket.wait(units) == 0:
            bucket.take(units)
            taken.append((clock.now, units))
    for first, (begin, _) in enumerate(taken):  # in every window, not only from the start
        total = 0.0
        for then, units in taken[first:]:
            total += units
            assert total <= (burst + rate * (then - begin)) * (1 + 1e-6)


@given(rate=st.floats(0.01, 50), burst=st.floats(1, 40), steps=steps)
def test_the_wait_is_long_enough_and_no_longer(rate: float, burst: float, steps: list[tuple[float, float]]) -> None:
    clock = Clock()
    bucket = Bucket(rate, burst, clock)
    for pause, units in steps:
        clock.now += pause
        wait = bucket.wait(units)
        if units > burst:
            assert wait == float("inf")
            continue
        if wait > 1e-6:
            clock.now += wait * 0.99
            assert bucket.wait(units) > 0 or wait * rate < 1e-4 * burst
            clock.now += wait * 0.0101
        assert bucket.wait(units) == 0
        bucket.take(units)


def test_a_correction_leaves_a_debt_or_gives_back() -> None:
    clock = Clock()
    bucket = Bucket(10, 100, clock)
    bucket.take(20)
    bucket.take(180)  # the answer was longer than thought
    assert bucket.wait(10) == pytest.approx(11)
    bucket.take(-500)
    assert bucket.wait(100) == 0
    assert bucket.wait(100.5) == float("inf")


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0), (-1, 1), (float("nan"), 1)])
def test_a_bucket_must_flow(rate: float, burst: float) -> None:
    with pytest.raises(ConfigError):
        Bucket(rate, burst)


def test_budgets_begin_anew_with_the_day_and_the_month() -> None:
    clock = Clock(at(2026, 12, 31, 23, 59, 0))
    ledger = Ledger()
    day, month = Budget("ann", 1.0, "day", ledger, clock), Budget("bob", 5.0, "month", ledger, clock)
    ever = Budget("cy", 9.0, None, ledger, clock)
    for budget in (day, month, ever):
        budget.charge(0.75)
    assert (day.left, month.left, ever.left) == (0.25, 4.25, 8.25)
    assert (day.renewed_in(), month.renewed_in(), ever.renewed_in()) == (60, 60, None)
    clock.now += 61
    assert (day.left, month.left, ever.left) == (1.0, 5.0, 8.25)
    assert month.renewed_in() == 31 * 86400 - 1
    day.charge(3)
    assert day.left == 0


def test_what_was_spent_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "spent.sqlite"
    first = Ledger(path)
    for _ in range(100):
        first.add("ann", "2026-05", 0.01)
    assert first.spent("ann", "2026-05") == pytest.approx(1)
    first.close()
    second = Ledger(path)
    assert second.spent("ann", "2026-05") == pytest.approx(1)
    assert second.spent("ann", "2026-06") == 0
    second.close()
    assert path.stat().st_mode & 0o077 == 0


def test_processes_share_a_budget(tmp_path: Path) -> None:
    one, other = (Ledger(tmp_path / "spent.sqlite", every=0.02) for _ in range(2))
    try:
        one.add("ann", "ever", 2)
        other.add("ann", "ever", 3)
        end = time.monotonic() + 10
        while time.monotonic() < end and not (one.spent("ann", "ever") == other.spent("ann", "ever") == 5):
            time.sleep(0.01)
        assert (one.spent("ann", "ever"), other.spent("ann", "ever")) == (5, 5)
    finally:
        one.close()
        other.close()


def test_what_was_spent_long_ago_is_known_but_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "spent.sqlite"
    Ledger(path).close()
    with sqlite3.connect(path) as old:
        days = [(f"key-{k}", f"2{y:03}-{m:02}-{d:02}", 1.0) for k in range(3) for y in range(9) for m in range(1, 13)
                for d in range(1, 29)]  # fmt: skip
        old.executemany(
            "INSERT INTO spent VALUES (?, ?, ?)", [*days, ("key-0", "2008-12", 5.0), ("key-1", "ever", 7.0)]
        )
    old.close()
    one, other = Ledger(path, every=0.02), Ledger(path, every=0.02)
    try:
        assert (one.spent("key-2", "2003-04-05"), one.spent("key-1", "ever")) == (1, 7)
        assert len(one._read(_PRESENT)) == 3 * 28 + 2
        other.add("key-0", "2008-12-28", 2)
        other.add("key-1", "ever", 2)
        end = time.monotonic() + 10
        while time.monotonic() < end and one.spent("key-1", "ever") != 9:
            time.sleep(0.01)
        assert (one.spent("key-0", "2008-12-28"), one.spent("key-0", "2008-12"), one.spent("key-1", "ever")) == (
            3,
            5,
            9,
        )
        one.add("key-2", "2003-04-05", 1)
        time.sleep(0.1)
        assert one.spent("key-2", "2003-04-05") == 2
    finally:
        one.close()
        other.close()


KILLED = """
import sys, time
from pilotfish.serve._ledger import Ledger
ledger = Ledger(sys.argv[1])
for _ in range(50):
    ledger.add("ann", "ever", 0.5)
time.sleep(0.5)
print("spent", flush=True)
time.sleep(60)
"""


def test_kill_9_keeps_what_was_spent_moments_ago(tmp_path: Path) -> None:
    path = tmp_path / "spent.sqlite"
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "spent\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    ledger = Ledger(path)
    assert ledger.spent("ann", "ever") == 25
    ledger.close()


def test_another_programs_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE precious (x)")
    with pytest.raises(DataError, match="another program"):
        Ledger(path)
    path.write_bytes(b"no database at all, but long enough to look like one" * 40)
    with pytest.raises(DataError, match="damaged"):
        Ledger(path)
