"""Progress on standard error: a bar with rate and time left at a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

_EVERY = 10.0  # seconds between lines


class Progress:
    """Shows how many rows (or other units) are finished.

    Args:
        total: how many there will be, about; None where that is not known.
        before: how many were finished by an earlier session; they do not count for the rate.
        shown: False shows nothing.
        unit: what is counted.

    Attributes:
        note: what the line ends with, as what was spent.
    """

    def __init__(self, total: int | None, before: int = 0, *, shown: bool = True, unit: str = "rows") -> None:
        self.total = total
        self.before = before
        self.done = before
        self.rejected = 0
        self.shown = shown
        self.unit = unit
        self.note = ""
        self.started = self.last = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if self.shown and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn(self.unit),
                BarColumn(),
                TextColumn("{task.fields[line]}"),
                console=Console(stderr=True),
                transient=False,
            )
            self._task = self._bar.add_task(self.unit, total=self.total, completed=self.done, line=self.line())
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._bar is not None:
            if kind is None:
                self._bar.update(self._task, total=self.done, completed=self.done, line=self.line())
            self._bar.stop()
        elif self.shown and kind is None:
            self._print()

    def add(self, rows: int, rejected: int = 0) -> None:
        """Note rows that are finished, and how many of them were rejected."""
        self.done += rows
        self.rejected += rejected
        now = time.monotonic()
        if self._bar is not None:
            if now - self.last > 0.1:
                self.last = now
                self._bar.update(self._task, completed=self.done, line=self.line())
        elif self.shown and now - self.last > _EVERY:
            self.last = now
            self._print()

    def line(self) -> str:
        """Return rows, rate and time left in words."""
        seconds = time.monotonic() - self.started
        rate = (self.done - self.before) / seconds if seconds > 0 else 0.0
        text = f"{self.done:,}"
        if self.total is not None:
            text += f" of {max(self.total, self.done):,}"
        if rate > 0:
            text += f", {rate:,.1f}/s" if rate < 100 else f", {rate:,.0f}/s"
            if self.total is not None and self.total > self.done:
                text += f", {_span((self.total - self.done) / rate)} left"
        if self.rejected:
            text += f", {self.rejected:,} rejected"
        return f"{text}, {self.note}" if self.note else text

    def _print(self) -> None:
        sys.stderr.write(f"{self.unit}: {self.line()}\n")
        sys.stderr.flush()


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
