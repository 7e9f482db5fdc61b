"""Progress and budget of a long measurement: what it is doing, how far it is, and what it may still spend."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pilotfish.errors import ConfigError


class Watch:
    """Shows phases on a console; on a terminal as a moving bar, elsewhere as a line a phase and one every 10 s."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, quiet=True)
        self.started = time.perf_counter()

    def say(self, text: str) -> None:
        """Print one line."""
        passed = f"[dim]{time.perf_counter() - self.started:6.1f} s[/]"
        self.console.print(f"{passed}  {escape(text)}", highlight=False, soft_wrap=True)

    @contextmanager
    def phase(self, title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Show a phase of `total` rows; the function it gives is called with the number of rows done since."""
        if not self.console.is_terminal:
            self.say(title + (f" ({total:,} rows)" if total else ""))
            done, last = 0, time.perf_counter()

            def advance(rows: int) -> None:
                nonlocal done, last
                done += rows
                if time.perf_counter() - last > 10:
                    last = time.perf_counter()
                    self.say(f"  {title}: {done:,}" + (f" of {total:,}" if total else ""))

            yield advance
            return
        columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
        with Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True) as bar:
            task = bar.add_task(title, total=total)
            yield lambda rows: bar.advance(task, rows)
        self.say(title + (f" ({total:,} rows)" if total else ""))


@dataclass
class Budget:
    """What may be spent: seconds of wall time and US dollars; None is no limit."""

    max_seconds: float | None = None
    max_cost: float | None = None
    spent: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        for name, value in (("--max-seconds", self.max_seconds), ("--max-cost", self.max_cost)):
            if value is not None and not value >= 0:
                raise ConfigError(f"{name} must be 0 or more, not {value:g}")

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    def seconds_left(self) -> float:
        """Seconds left; infinite without a limit."""
        return float("inf") if self.max_seconds is None else max(0.0, self.max_seconds - self.elapsed)

    def dollars_left(self) -> float:
        """Dollars left; infinite without a limit."""
        return float("inf") if self.max_cost is None else max(0.0, self.max_cost - self.spent)
