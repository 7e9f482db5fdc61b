"""Progress bars on stderr: a live bar in a terminal, one plain line a step elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol

__all__ = ["Advance", "Bars", "bars", "human"]

Advance = Callable[[int, int | None], None]
"""`advance(done, total)`: how much is done so far, of how much (None: not known)."""


class Bars(Protocol):
    """What shows progress; `shown` is false where nothing is to be seen."""

    shown: bool

    def say(self, line: str) -> None:
        """Show one line."""

    def step(self, label: str, *, unit: str = "bytes") -> contextlib.AbstractContextManager[Advance]:
        """Show a bar while the block runs; the block calls what it is given with (done, total)."""


PAUSE = 10.0
"""Seconds between two lines of progress where there is no terminal."""


def human(count: float) -> str:
    """Return a byte count for people: `93.8 MB` (powers of 1,000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


class _Quiet:
    shown = False

    def say(self, line: str) -> None:
        """Show nothing."""

    @contextlib.contextmanager
    def step(self, label: str, *, unit: str = "bytes") -> Iterator[Advance]:
        yield lambda done, total: None


class _Plain:
    """For logs and pipes, which bars would only fill: a line when a step begins, then one every `PAUSE` seconds."""

    shown = True

    def say(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    @contextlib.contextmanager
    def step(self, label: str, *, unit: str = "bytes") -> Iterator[Advance]:
        self.say(label + " …")
        last = time.monotonic()

        def advance(done: int, total: int | None) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= PAUSE:
                last = now
                amounts = [human(n) if unit == "bytes" else f"{n}" for n in (done, total) if n is not None]
                self.say(f"{label}: {' of '.join(amounts)}")

        yield advance


class _Live:
    shown = True

    def say(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    @contextlib.contextmanager
    def step(self, label: str, *, unit: str = "bytes") -> Iterator[Advance]:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.table import Column

        # In a narrow terminal the label gives way; numbers that wrap would redraw over several lines.
        label_column = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        numbers = [Column(no_wrap=True) for _ in range(4)]
        counts = [DownloadColumn(table_column=numbers[0]), TransferSpeedColumn(table_column=numbers[1])]
        columns = [
            TextColumn("{task.description}", table_column=label_column),
            BarColumn(bar_width=16),
            *(counts if unit == "bytes" else [MofNCompleteColumn(table_column=numbers[2])]),
            TimeRemainingColumn(table_column=numbers[3]),
        ]
        with Progress(*columns, console=Console(stderr=True), expand=True) as progress:
            task = progress.add_task(label, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)


def bars(shown: bool = True) -> Bars:
    """Return what shows progress on stderr; nothing at all where `shown` is false."""
    if not shown:
        return _Quiet()
    return _Live() if sys.stderr.isatty() else _Plain()
