"""Exercises in Python: read, and proven by running them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pilotfish.errors import ConfigError
from pilotfish.synthesize.make import synthesize
from pilotfish.synthesize.scratch.coded import Coded, Proven
from tests.fakes import ScriptedModel

GOOD = "```python\ndef helper(x):\n    return x\n\ndef double(x):\n    return 2 * helper(x)\n```"
TESTS = "assert double(2) == 4\nassert double(0) == 0\nassert double('a') == 'aa'"


def said(solution: str = GOOD, tests: str = TESTS) -> str:
    return json.dumps({"prompt": "double(x) returns twice x", "solution": solution, "tests": tests})


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")
def test_only_what_passes_and_tells_a_stub_is_kept(tmp_path: Path) -> None:
    answers = [
        said(),
        said(GOOD.replace("2 *", "3 *")),
        said(tests="double(1)\nassert True\nassert 1 == 1\nassert 2 == 2"),
        said("def double(x: return x"),
        said(tests="assert triple(2) == 6\nassert 1\nassert 1"),
        said(tests="assert double(2) == 4"),
        "no",
    ]
    model = ScriptedModel(answers + [said()] * 50)
    report = synthesize(Coded("Easy ones."), model, tmp_path, rows=7, checks=[Proven()], concurrency=1, progress=False)
    row = json.loads((tmp_path / "rows.jsonl").read_text().splitlines()[0])
    assert report.whole and row["entry_point"] == "double" and row["solution"].startswith("def helper")
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    for part in (
        "not proven: the solution fails its tests",
        "not proven: the tests pass without a solution",
        "no Python",
        "the tests call no function of the solution",
        "too few tests",
        "no JSON in the answer",
    ):
        assert any(reason.startswith(part) for reason in reasons), part
    with pytest.raises(ConfigError, match="tests"):
        Coded("x", tests=0)
