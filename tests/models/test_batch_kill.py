"""`kill -9` at any moment: each request is in one batch and no more, and is answered."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.fakes_batch import FakeBatches
from tests.forks import Forked, forked

# Asks for everything, over and over until it lives to see the answers.
CHILD = """
import json, sys
from pathlib import Path
from pilotfish.model import Price
from pilotfish.models.batch import BatchModel
from tests.asking import together
from tests.fakes_batch import prompts
url, folder, count = sys.argv[1:]
model = BatchModel("tiny", url, folder=Path(folder), key_env=None, gather=0.05, poll=0.03, settle=0.5, most_requests=4,
                   price=Price(1e6, 1e6))
print("ready", flush=True)
replies = together(model, prompts(int(count)))
print(json.dumps([reply.text for reply in replies]), flush=True)
"""
COUNT = 10


def start(provider: FakeBatches, folder: Path, count: int = COUNT) -> Forked:
    child = forked(CHILD, provider.url, folder, str(count))
    assert child.stdout.readline() == b"ready\n"
    return child


def finish(child: Forked) -> list[str]:
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err.decode()
    found: list[str] = json.loads(out)
    return found


def test_ten_kills(tmp_path: Path) -> None:
    moments = random.Random(1)
    killed = count = 0
    with FakeBatches(way=("validating", "in_progress", "in_progress", "finalizing")) as provider:
        # Slow enough that the kills fall between the steps and into each of them.
        provider.slow = {"upload": 0.08, "create": 0.08, "content": 0.05, "get": 0.01}
        while killed < 10:
            count += 2  # so that there is something to do at every kill, beside what earlier ones left
            child = start(provider, tmp_path, count)
            try:
                child.wait(moments.uniform(0, 0.8))
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                killed += 1
            child.communicate()
        assert finish(start(provider, tmp_path, count)) == [f"echo n{i}" for i in range(count)]
        assert len(provider.asked) == count and set(provider.asked.values()) == {1}
        assert not list(tmp_path.glob("*.jsonl"))


@pytest.mark.parametrize(("route", "at"), [("upload", 1), ("create", 1), ("create", 2), ("content", 2)])
def test_a_kill_in_the_middle_of_a_call(tmp_path: Path, route: str, at: int) -> None:
    """The provider does what it was asked to after the process has gone."""
    with FakeBatches() as provider:
        provider.slow = {route: 0.15}
        child = start(provider, tmp_path)
        assert provider.wait_for(lambda: provider.count(route) >= at)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert finish(start(provider, tmp_path)) == [f"echo n{i}" for i in range(COUNT)]
        assert len(provider.asked) == COUNT and set(provider.asked.values()) == {1}


def test_ctrl_c_leaves_the_batch_and_says_so(tmp_path: Path) -> None:
    with FakeBatches(way=("validating", *["in_progress"] * 1000)) as provider:
        child = start(provider, tmp_path)
        assert provider.wait_for(lambda: len(provider.batches) == 3 and provider.count("get") > 3)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=20)
        told = [line for line in err.decode().splitlines() if line.startswith("no longer waiting")]
        assert len(told) == 1 and "batch_0 (" in told[0] and "run again to take its answers" in told[0]
        provider.hurry()
        assert finish(start(provider, tmp_path)) == [f"echo n{i}" for i in range(COUNT)]
        assert len(provider.batches) == 3
