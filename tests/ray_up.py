"""A Ray of two processors for tests, started once, and ways to look at its workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import psutil
import pytest

STORE = 256 << 20


@pytest.fixture(scope="session")
def ray_up() -> Iterator[None]:
    """Start Ray on this machine, without dashboard, or skip where it is not installed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'pilotfish[ray]'")
    ours = not ray.is_initialized()
    if ours:
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=STORE,
            log_to_driver=False,
            logging_level="fatal",
        )
    yield
    if ours:
        ray.shutdown()


def workers(parent: int | None = None) -> list[psutil.Process]:
    """Return the processes that hold stages, of this process's Ray or of another's."""
    found = []
    for process in psutil.Process(parent or os.getpid()).children(recursive=True):
        try:
            if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::Worker"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def gone(seconds: float = 5.0) -> bool:
    """Whether no process holds stages any more: Ray ends them in its own time, which is soon."""
    until = time.monotonic() + seconds
    while (left := workers()) and time.monotonic() < until:
        time.sleep(0.05)
    return not left


def kill_one(seconds: float = 10.0, parent: int | None = None) -> int:
    """Kill a worker with SIGKILL, as soon as there is one; return its id."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for process in workers(parent):
            process.send_signal(signal.SIGKILL)
            return process.pid
        time.sleep(0.01)
    raise AssertionError("there was no worker to kill")
