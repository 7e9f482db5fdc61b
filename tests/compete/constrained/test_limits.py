from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.constrained.limits import Limits, joules, seconds, shown, size
from pilotfish.errors import ConfigError
from tests.compete.constrained.help import measured


@pytest.mark.parametrize(
    ("text", "bytes_"), [("2GiB", 2 * 2**30), ("512MB", 512e6), ("1e9", 1e9), ("1.5 kib", 1536), ("7", 7)]
)
def test_sizes(text: str, bytes_: float) -> None:
    assert size(text) == bytes_


@pytest.mark.parametrize(("text", "time"), [("200ms", 0.2), ("1.5s", 1.5), ("2", 2), ("3 min", 180), (".5s", 0.5)])
def test_times(text: str, time: float) -> None:
    assert seconds(text) == pytest.approx(time)


@pytest.mark.parametrize(("text", "energy"), [("0.5J", 0.5), ("20mJ", 0.02), ("0.001Wh", 3.6), ("1 mWh", 3.6)])
def test_energies(text: str, energy: float) -> None:
    assert joules(text) == pytest.approx(energy)


@pytest.mark.parametrize("text", ["2 bananas", "ms", "-1s", ""])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="a time is written"):
        seconds(text)


def test_limits_as_people_write_them() -> None:
    limits = Limits.of({"memory": "2GiB", "p95": "200ms", "energy": 0.5, "rows_per_day": 1000.0, "disk": None})
    assert limits.given == {"memory": 2 * 2**30, "p95": 0.2, "energy": 0.5, "rows_per_day": 1000.0}
    with pytest.raises(ConfigError, match="p95 must be above 0"):
        Limits(p95=0)
    with pytest.raises(ConfigError, match="a size is written"):
        Limits.of({"memory": "much"})


@given(
    allowed=st.floats(1e-3, 1e3),
    took=st.floats(1e-3, 1e3),
    name=st.sampled_from(["memory", "p95", "energy", "rows_per_day", "cold_start", "disk"]),
)
def test_a_limit_is_broken_where_it_is_passed_and_by_how_much(allowed: float, took: float, name: str) -> None:
    found = {
        "memory": measured(memory=took),
        "p95": measured(p95=took),
        "energy": measured(joules=took),
        "rows_per_day": measured(rows_per_second=took / 86400),
        "cold_start": measured(cold_start=took),
        "disk": measured(disk=took),
    }[name]
    broken = Limits(**{name: allowed}).broken(found)
    fails = took < allowed * (1 - 1e-12) if name == "rows_per_day" else took > allowed
    if not math.isclose(took, allowed, rel_tol=1e-9):
        assert bool(broken) == fails
    if broken:
        assert broken[0].ratio == pytest.approx(max(took / allowed, allowed / took))


def test_the_worst_miss_comes_first_and_reads_well() -> None:
    broken = Limits(memory=100 * 2**20, p95=0.1).broken(measured(memory=150 * 2**20, p95=0.4))
    assert [one.name for one in broken] == ["p95", "memory"]
    assert str(broken[0]) == "p95 400 ms, not 100 ms"
    assert str(broken[1]) == "peak memory 150 MiB, not 100 MiB"


def test_numbers_as_people_read_them() -> None:
    assert shown("memory", 3 * 2**29) == "1.50 GiB"
    assert shown("p95", 2.5) == "2.50 s"
    assert shown("energy", 0.0123) == "12.3 mJ"
    assert shown("rows_per_day", 12345.6) == "12,346"
