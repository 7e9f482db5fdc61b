"""Several processes of one run, as `accelerate launch` starts them: one of them writes, the others wait for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pilotfish._extras import need

__all__ = ["is_main", "main_first", "wait"]


def _several() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_main() -> bool:
    """Say whether this process is the one that writes."""
    return not _several() or os.environ.get("RANK", "0") == "0"


@contextmanager
def main_first() -> Iterator[None]:
    """Run a block in the first process, then in the others, which find what it has written."""
    if not is_main():
        wait()
    yield
    if is_main():
        wait()


def wait() -> None:
    """Wait until all processes are here."""
    if _several():
        need("accelerate", "train").PartialState().wait_for_everyone()
