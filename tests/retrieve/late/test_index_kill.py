"""`kill -9` while an index is changed: it is as it was before the step, or after it, and can be changed further."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from pilotfish.retrieve.late.index import LateIndex
from tests.forks import forked, module
from tests.retrieve.late.made import queries_of
from tests.retrieve.late.writer import DOCUMENTS, change

QUERIES = queries_of(DOCUMENTS, 4)


def state(folder: Path) -> tuple[list[list[int]], list[list[float]], list[bool]]:
    index = LateIndex(folder)
    found = index.search(QUERIES, 20, candidates=40)
    return found.rows.tolist(), found.scores.tolist(), index.alive.tolist()


def test_killed_at_any_moment(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    killed, twin = tmp_path / "killed", tmp_path / "twin"
    change(killed, 0)
    change(twin, 0)
    step, kills = 1, 0
    deadline = time.monotonic() + 90
    while kills < 8 and time.monotonic() < deadline:
        process = forked(module("tests.retrieve.late.writer"), killed, str(step))
        assert process.stdout.readline() == b"up\n"
        time.sleep(float(random.uniform(0, 0.5)))
        process.kill()
        done = [int(line) for line in process.stdout.read().split()]
        process.wait()
        for one in done:
            change(twin, one)
        step = done[-1] + 1 if done else step
        got = state(killed)
        if got != state(twin):
            change(twin, step)  # the step was done, and what would have said so was not
            step += 1
        assert got == state(twin)
        kills += 1
    assert kills == 8
    assert step > 8
    change(killed, 1)
    names = {path.name for path in killed.iterdir()}
    assert not {name for name in names if name.endswith(".tmp") or name.startswith(".spool")}
    assert len([name for name in names if name.startswith("segment-")]) == LateIndex(killed).segments
