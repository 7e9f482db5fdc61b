"""Forked processes are processes as any other: their streams, place, environment, exit codes and signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.forks import forked, module

TELL = """
import json, os, sys
told = [sys.argv[1:], os.getcwd(), os.environ.get("MINE"), os.environ.get("TEST_LEFT"), sys.stdin.read(), os.getpid()]
print(json.dumps(told))
print("aside", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""


def test_it_has_its_own_arguments_place_environment_and_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_LEFT", "out")
    env = {name: value for name, value in os.environ.items() if name != "TEST_LEFT"}
    both = [forked(TELL, code, "á b", cwd=tmp_path, env={**env, "MINE": code}) for code in ("0", "7")]
    for process, code in zip(both, (0, 7), strict=True):
        out, err = process.communicate(b"what comes in", timeout=60)
        assert (process.returncode, process.wait(), process.poll()) == (code, code, code)
        assert err == b"aside\n"
        told = [[str(code), "á b"], str(tmp_path), str(code), None, "what comes in", process.pid]
        assert json.loads(out) == told
    assert both[0].pid != both[1].pid


def test_signals_and_waiting() -> None:
    with forked("import time\nprint('up', flush=True)\ntime.sleep(600)") as process:
        assert process.stdout.readline() == b"up\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.05)
        assert process.poll() is None
        process.kill()
        assert process.wait(10) == -signal.SIGKILL
    process = forked("import time\nprint('up', flush=True)\ntime.sleep(600)")
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 1 and b"KeyboardInterrupt" in err
    process.send_signal(signal.SIGKILL)  # it has ended: nobody else is hit


def test_an_error_has_its_trace_and_a_word_at_the_end_is_said() -> None:
    process = forked("raise ValueError('no')")
    assert b"ValueError: no" in process.communicate(timeout=60)[1] and process.returncode == 1
    process = forked("import sys; sys.exit('so it ends')")
    assert process.communicate(timeout=60) == (b"", b"so it ends\n") and process.returncode == 1


def test_modules_are_loaded_and_those_of_tests_are_not() -> None:
    names = ["torch", "pilotfish.cli.advise", "pilotfish.models.local", "tests.tiny", "pytest"]
    code = f"import sys; print(*(name in sys.modules for name in {names}))"
    assert forked(code).communicate(timeout=60)[0] == b"True True True False False\n"
    assert b"--port" in forked(module("tests.fakes"), "--help").communicate(timeout=60)[0]
