"""Several processes of one run, as `accelerate launch` or `torchrun` starts them: one writes, the others wait."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from pilotfish._extras import need
from pilotfish.models._weights import pick_device

__all__ = ["count", "in_turn", "is_main", "join", "main_first", "wait"]


def count() -> int:
    """Return how many processes the run has."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Say whether this process is the one that writes."""
    return count() == 1 or os.environ.get("RANK", "0") == "0"


def join(device: str) -> None:
    """Meet the other processes and take this one's own accelerator, before any weights are put on one.

    Args:
        device: "cpu" for processes without accelerators though the machine has some; else as a model takes it.
    """
    if count() > 1:
        _state(cpu=device == "cpu")


def _state(*, cpu: bool = False) -> Any:
    """Return accelerate's view of the processes: the first call settles whether they work on accelerators."""
    # Without being told, accelerate would take processes on a machine without accelerators for strangers.
    accelerator = pick_device("auto") != "cpu"
    # And where one asks a paid teacher for hours, the others wait; by default they would give up after half an hour.
    return need("accelerate", "train").PartialState(cpu=cpu or not accelerator, timeout=timedelta(days=30))


@contextmanager
def main_first() -> Iterator[None]:
    """Run a block in the first process, then in the others, which find what it has written."""
    if not is_main():
        wait()
    yield
    if is_main():
        wait()


@contextmanager
def in_turn() -> Iterator[None]:
    """Run a block in one process after the other, as where each needs memory that not all have room for at once."""
    rank = int(os.environ.get("RANK", "0"))
    for _ in range(rank):
        wait()
    yield
    for _ in range(count() - rank):
        wait()


def wait() -> None:
    """Wait until all processes are here."""
    if count() > 1:
        _state().wait_for_everyone()
