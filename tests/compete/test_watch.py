from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from pilotfish.compete.watch import Budget, Watch
from pilotfish.errors import ConfigError


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, force_terminal=terminal, width=100), text


@pytest.mark.parametrize("terminal", [False, True])
def test_phases_are_shown_and_names_are_not_markup(terminal: bool) -> None:
    shown, text = console(terminal=terminal)
    watch = Watch(shown)
    with watch.phase("reading [bold]odd[/bold] names", 20) as advance:
        advance(5)
        advance(15)
    assert "reading [bold]odd[/bold] names" in text.getvalue()
    assert "20" in text.getvalue()


def test_a_long_phase_in_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, text = console(terminal=False)
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    with Watch(shown).phase("slow", 100) as advance:
        for _ in range(10):
            clock[0] += 4.0
            advance(10)
    lines = text.getvalue().splitlines()
    assert len(lines) == 4
    assert "slow: 30 of 100" in lines[1]


def test_silent_by_default() -> None:
    watch = Watch()
    watch.say("nothing")
    with watch.phase("quiet") as advance:
        advance(1)


def test_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    free = Budget()
    assert free.seconds_left() == free.dollars_left() == float("inf")
    budget = Budget(max_seconds=10, max_cost=1.0, started=100.0)
    clock[0] += 4
    budget.spent += 0.25
    assert budget.seconds_left() == pytest.approx(6)
    assert budget.dollars_left() == pytest.approx(0.75)
    clock[0] += 40
    budget.spent += 3
    assert budget.seconds_left() == budget.dollars_left() == 0


@pytest.mark.parametrize("settings", [{"max_seconds": -1.0}, {"max_cost": -0.01}, {"max_cost": float("nan")}])
def test_a_budget_below_nothing(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="0 or more"):
        Budget(**settings)
