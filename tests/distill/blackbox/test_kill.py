"""A killed run of a teacher's answers goes on without asking for what it was paid for."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.fakes import Answer, ScriptedUpstream
from tests.forks import forked

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
        command = (KILLED, upstream.url, tmp_path / "out")
        process = forked(*command)
        assert upstream.wait_for(lambda: upstream.calls >= 9, 30)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = upstream.calls
        assert 9 <= before < 40
        out, said = forked(*command).communicate(timeout=60)
        assert out.decode().split() == ["40", "40"], said.decode()
        # Only what was under way when it was killed is asked again: two at a time.
        assert 40 <= upstream.calls <= 42
