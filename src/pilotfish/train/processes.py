"""Several processes of one run, as `accelerate launch` starts them: one of them writes, the others wait for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pilotfish._extras import need

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
        device: "cpu" for processes without accelerators, as `Accelerator(cpu=True)` makes them.
    """
    if count() > 1:
        need("accelerate", "train").PartialState(cpu=device == "cpu")


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
        need("accelerate", "train").PartialState().wait_for_everyone()
