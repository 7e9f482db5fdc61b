"""`pilotfish advise --task` in processes of its own: tables, answers of endpoints, logs."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.compete.advisor.leaves import LEAVES
from pilotfish.model import Call, Message, Reply, Request, Trace
from pilotfish.serve.log import DecisionLog
from pilotfish.serve.record import Served
from tests.cli.help import SECRET, error_of, pilotfish, read_rows, remote, start, write_rows, write_toml
from tests.fakes import Answer, ScriptedUpstream, Seen

TABLE = """
[advise]
task = "generation"
rows = "rows.jsonl"
prompt = "What is {a} plus {b}?"
gold = "sum"
grade = "text"
small = "little"
large = "big"
"""
PRICE, CHEAP = (f"price = {{ input = {dollars}, output = {dollars} }}" for dollars in (100.0, 1.0))


def sums(count: int = 90) -> list[dict[str, Any]]:
    return [{"a": 3 + i * 7 % 90, "b": 5 + i * 11 % 80, "sum": str(8 + i * 7 % 90 + i * 11 % 80)} for i in range(count)]


def adds(knows: int, delay: float = 0.0) -> Any:
    def answer(seen: Seen) -> Answer:
        found = re.findall(r"What is (\d+) plus (\d+)\?", seen.prompt)
        a, b = (int(one) for one in found[-1])
        return Answer(str(a + b if max(a, b) <= knows else a - b), delay=delay)

    return answer


def test_two_endpoints_are_weighed_and_what_was_answered_is_never_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", SECRET)
    write_rows(tmp_path / "rows.jsonl", sums())
    with ScriptedUpstream(adds(60), key=SECRET) as small, ScriptedUpstream(adds(999), key=SECRET) as large:
        tables = [remote("little", small.url, CHEAP), remote("big", large.url, PRICE)]
        write_toml(tmp_path / "a.toml", *tables, TABLE)
        done = pilotfish("advise", "a.toml", "--out", "out", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "verdict: large" in done.stdout and "report: out/report.html" in done.stdout
        advice = json.loads((tmp_path / "out" / "advice.json").read_text())
        assert len({one["leaf"] for one in advice["survey"]}) == len(LEAVES)
        by_key = {one["key"]: one for one in advice["candidates"]}
        assert by_key["large"]["score"]["value"] == 1.0 > by_key["small"]["score"]["value"]
        assert by_key["large"]["usd_per_1000_rows"] > by_key["small"]["usd_per_1000_rows"] > 0
        assert SECRET not in (tmp_path / "out" / "pilotfish.toml").read_text()
        served = Collaboration.load(tmp_path / "out" / "pilotfish.toml")
        assert ask(served.model(), "What is 70 plus 2?").text == "72"
        calls = small.calls, large.calls
        again = pilotfish("advise", "a.toml", "--out", "out", cwd=tmp_path)
        assert again.returncode == 0 and "verdict: large" in again.stdout
        assert (small.calls, large.calls) == (calls[0], calls[1])
        line = error_of(pilotfish("advise", "a.toml", "--out", "out2", "--judge", "big", cwd=tmp_path))
        assert 'a `judge` goes with `grade = "judge"`' in line


def test_a_run_that_is_killed_goes_on(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", sums())
    with ScriptedUpstream(adds(60, 0.02), key=SECRET) as small, ScriptedUpstream(adds(999, 0.02), key=SECRET) as large:
        write_toml(tmp_path / "a.toml", remote("little", small.url, CHEAP), remote("big", large.url, PRICE), TABLE)
        process = start("advise", "a.toml", "--out", "out", cwd=tmp_path)
        assert large.wait_for(lambda: large.calls >= 25, 100)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        assert not (tmp_path / "out" / "advice.json").exists()
        before = large.calls
        done = pilotfish("advise", "a.toml", "--out", "out", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        after = large.calls
        whole = pilotfish("advise", "a.toml", "--out", "fresh", cwd=tmp_path)
        assert whole.returncode == 0
        # What was in flight when it died is asked once more, and nothing else: at most what is under way at once.
        assert after <= (large.calls - after) + 8 and after - before < large.calls - after


def test_a_table_by_flags_and_bad_input_in_a_line(tmp_path: Path) -> None:
    rows = [{"x": i % 17, "plan": "ab"[i % 2], "leaves": "yes" if i % 17 > 8 else "no"} for i in range(200)]
    write_rows(tmp_path / "rows.jsonl", rows)
    write_toml(
        tmp_path / "a.toml",
        '[advise]\ntask = "table"\nrows = "rows.jsonl"\ntarget = "leaves"\nmodels = ["histogram"]\n',
    )
    done = pilotfish("advise", "a.toml", "--out", "out", "--max-seconds", "4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "verdict: small" in done.stdout and "is right on 100.0%" in done.stdout
    served = Collaboration.load(tmp_path / "out" / "pilotfish.toml")
    assert ask(served.model(), json.dumps({"x": 12, "plan": "a"})).text == "yes"
    assert len(read_rows(tmp_path / "out" / "answers.jsonl")) == 40
    for arguments, said in (
        (["rows.jsonl", "--task", "table"], "the key 'target' is missing"),
        (["rows.jsonl", "--task", "table", "--target", "leave"], "no column 'leave'"),
        (["rows.jsonl", "--task", "generation", "--prompt", "{x}", "--gold", "leaves"], "no such model"),
        (["rows.jsonl", "--target", "leaves"], "--target is of another --task"),
        (["rows.jsonl", "--task", "retrieval", "--prompt", "{x}", "--gold", "leaves"], "`documents` are of retrieval"),
    ):
        told = pilotfish("advise", *arguments, "--out", "bad", cwd=tmp_path)
        assert told.returncode == 2 and said in told.stderr, (arguments, told.stderr)


def test_a_gateway_s_log_will_do_for_rows(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.sqlite", redact="off")
    for i, row in enumerate(sums(70)):
        request = Request((Message("user", f"What is {row['a']} plus {row['b']}?"),))
        reply = Reply(row["sum"], trace=Trace((Call("big", "model", 9, 1, 0.1, 0.01),)))
        log.put(Served(f"r{i}", 1.0 + i, "", "big", request, reply))
    log.flush()
    log.rate("r0", 0.0)
    log.close()
    with ScriptedUpstream(adds(60), key=SECRET) as small, ScriptedUpstream(adds(999), key=SECRET) as large:
        table = '[advise]\ntask = "generation"\nrows = "decisions.sqlite"\ngrade = "text"\n'
        table += 'small = "little"\nlarge = "big"\n'
        write_toml(tmp_path / "a.toml", remote("little", small.url, CHEAP), remote("big", large.url, PRICE), table)
        done = pilotfish("advise", "a.toml", "--out", "out", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        advice = json.loads((tmp_path / "out" / "advice.json").read_text())
        assert advice["rows"]["train"] + advice["rows"]["calibrate"] + advice["rows"]["test"] == 69
        assert "verdict: large" in done.stdout
