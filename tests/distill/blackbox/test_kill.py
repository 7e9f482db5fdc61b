"""A killed run of a teacher's answers goes on without asking for what it was paid for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.fakes import Answer, ScriptedUpstream

KILLED = """
import sys
from pilotfish.distill.blackbox import answers
from pilotfish.models.remote import RemoteModel
teacher = RemoteModel("teacher", base_url=sys.argv[1], concurrency=2)
rows = [{"text": f"question {i}"} for i in range(20)]
taught = answers(rows, teacher, sys.argv[2], prompt="{text}", samples=2, temperature=1.0, seed=0, progress=False)
print(int(sum(row['weight'] for row in taught.rows)), taught.report.bill.calls)
"""


def test_kill_9_loses_no_paid_answer(tmp_path: Path) -> None:
    with ScriptedUpstream(Answer("an answer", delay=0.05)) as upstream:
        command = [sys.executable, "-c", KILLED, upstream.url, str(tmp_path / "out")]
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
        assert upstream.wait_for(lambda: upstream.calls >= 9, 30)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = upstream.calls
        assert 9 <= before < 40
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["40", "40"]
        # Only what was under way when it was killed is asked again: two at a time.
        assert 40 <= upstream.calls <= 42
