"""The checkpoint's file: the library reads it back, writing it takes no second copy, a kill leaves the one before."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pilotfish.train.checkpoint import Checkpoint
from tests.forks import forked

torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]

# Weights of 24 MB each, one of them the transpose of what lies in memory; the peak before and after writing, in bytes.
PEAK = """
import json, resource, sys, torch
from pathlib import Path
from pilotfish.train.checkpoint import Checkpoint

torch.set_num_threads(1)
weights = {f"layer.{i}": torch.full((3000, 2000), float(i)) for i in range(10)}
weights["layer.9"] = weights["layer.9"].T
optimizer = torch.optim.AdamW(list(weights.values()))
checkpoint = Checkpoint(Path(sys.argv[1]), "a run")
checkpoint.write({"small": torch.ones(3)}, optimizer, {"step": 0})  # what is imported at the first write
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
checkpoint.write(weights, optimizer, {"step": 1})
checkpoint.keep_best(weights)
print(json.dumps({"before": before, "after": peak(), "size": sum(w.numel() * 4 for w in weights.values())}))
"""

# Writes one checkpoint after the other, whose weights are the number of its step.
ENDLESS = """
import itertools, sys, torch
from pathlib import Path
from pilotfish.train.checkpoint import Checkpoint

torch.set_num_threads(1)
weights = {f"layer.{i}": torch.zeros(2000, 1000) for i in range(5)}
optimizer = torch.optim.AdamW(list(weights.values()))
checkpoint = Checkpoint(Path(sys.argv[1]), "a run")
for step in itertools.count(1):
    for value in weights.values():
        value.fill_(step)
    checkpoint.write(weights, optimizer, {"step": step})
"""


def test_the_library_reads_it_and_everything_comes_back(tmp_path: Path) -> None:
    from safetensors import safe_open

    torch.manual_seed(0)
    weights = {
        "wide": torch.randn(3, 5, dtype=torch.float64),
        "half": torch.randn(7).bfloat16(),
        "turned": torch.randn(4, 6).T.contiguous().T.requires_grad_(),
        "empty": torch.zeros(0, 4),
        '日本 "語"': torch.randn(2, 3).half(),
    }
    optimizer = torch.optim.AdamW([weights["turned"]])
    weights["turned"].square().sum().backward()
    optimizer.step()
    checkpoint = Checkpoint(tmp_path, "a run")
    checkpoint.write(weights, optimizer, {"step": 3, "more": [1, 2]})
    with safe_open(tmp_path / "step-3.safetensors", "pt") as file:
        for name, value in weights.items():
            found = file.get_tensor(f"weight/{name}")
            assert found.dtype == value.dtype and found.shape == value.shape
            assert torch.equal(found, value.detach())
    fresh = {name: torch.empty_like(value).requires_grad_(value.requires_grad) for name, value in weights.items()}
    again = torch.optim.AdamW([fresh["turned"]])
    told = checkpoint.read(fresh, again)
    assert told is not None and (told["step"], told["more"]) == (3, [1, 2])
    for name, value in weights.items():
        assert torch.equal(fresh[name], value)
    for key, held in optimizer.state[weights["turned"]].items():
        assert torch.equal(again.state[fresh["turned"]][key], held), key


def test_writing_takes_no_second_copy_in_memory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    told = json.loads(done.stdout)
    assert told["size"] == 240_000_000
    # Of the weights alone, not of all that torch takes: one layer of ten is copied at a time at most.
    assert told["after"] - told["before"] < 0.2 * told["size"], told


def test_a_kill_in_the_midst_of_writing_leaves_the_one_before(tmp_path: Path) -> None:
    process = forked(ENDLESS, tmp_path)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            torn = [one for one in tmp_path.glob(".step-*.tmp") if 0 < _size(one) < 40_000_000]
            if torn and (tmp_path / "checkpoint.json").exists():
                break
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = list(tmp_path.glob(".step-*.tmp"))
    assert left and _size(left[0]) < 40_000_000, "it was not killed in the midst of a file"
    weights = {f"layer.{i}": torch.zeros(2000, 1000) for i in range(5)}
    optimizer = torch.optim.AdamW(list(weights.values()))
    checkpoint = Checkpoint(tmp_path, "a run")
    told = checkpoint.read(weights, optimizer)
    assert told is not None
    assert all(bool((value == told["step"]).all()) for value in weights.values())
    checkpoint.write(weights, optimizer, {"step": told["step"] + 1})
    names = sorted(one.name for one in tmp_path.iterdir())
    assert names == ["checkpoint.json", f"step-{told['step'] + 1}.safetensors"], "what was torn is gone"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
