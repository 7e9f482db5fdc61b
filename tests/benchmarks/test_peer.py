"""A peer's process: it answers line by line, and its end is told with its own last words."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks._peer import Peer

SCRIPT = """
import json, os, sys
print("x" * 200_000, file=sys.stderr)
for line in sys.stdin:
    job = json.loads(line)
    if job == "end":
        sys.exit("no such model")
    print(json.dumps({"twice": 2 * job, "threads": os.environ["OMP_NUM_THREADS"]}), flush=True)
"""


def test_it_answers_line_by_line_however_much_it_prints_besides(tmp_path: Path) -> None:
    script = tmp_path / "double.py"
    script.write_text(SCRIPT)
    peer = Peer(Path(sys.executable), script, "pip install double", {"OMP_NUM_THREADS": "1"})
    assert [peer.ask(n) for n in (1, 2)] == [{"twice": 2, "threads": "1"}, {"twice": 4, "threads": "1"}]
    peer.close()


def test_its_end_is_told(tmp_path: Path) -> None:
    script = tmp_path / "double.py"
    script.write_text(SCRIPT)
    peer = Peer(Path(sys.executable), script, "pip install double")
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"double\.py ended: no such model .*pip install double"):
            peer.ask("end")
    peer.close()
