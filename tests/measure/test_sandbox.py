"""The sandbox: what passes, and everything that a program must not get away with."""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

import pytest

from pilotfish.measure.sandbox import run_python

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sandbox needs Linux")


def test_a_program_that_ends_well_passes_and_its_output_is_kept() -> None:
    found = run_python("import math\nprint(math.comb(5, 2))\nassert __name__ == '__main__'")
    assert found.passed
    assert (found.output, found.why) == ("10\n", "")


def test_definitions_are_where_the_standard_library_looks_for_them() -> None:
    code = "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: 'int' = 1\nassert A() == A(1)"
    assert run_python(code).passed


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("assert 1 == 2", "AssertionError"),
        ("raise SystemExit(3)", "no reason given"),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("x = bytearray(1 << 30)", "memory"),
        ("import os\nos.kill(os.getpid(), 9)", "ended by signal 9"),
        ("print('\\ud800')", "UnicodeEncodeError"),
    ],
)
def test_what_fails_says_why(code: str, why: str) -> None:
    found = run_python(code)
    assert not found.passed
    assert found.why.startswith(why)


@pytest.mark.parametrize("code", ["while True: pass", "import time\ntime.sleep(60)"])
def test_a_program_that_does_not_end_is_ended(code: str) -> None:
    found = run_python(code, seconds=1)
    assert (found.passed, found.why) == (False, "timeout")
    assert found.seconds < 3


def test_the_network_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        port = server.getsockname()[1]
        heard: list[object] = []
        listener = threading.Thread(target=lambda: heard.append(_accepted(server)))
        listener.start()
        socket.create_connection(("127.0.0.1", port)).close()  # from here it can be reached
        listener.join()
        assert heard == [True]
        found = run_python(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)")
    assert not found.passed
    assert "Network is unreachable" in found.why


def _accepted(server: socket.socket) -> bool:
    server.accept()[0].close()
    return True


def test_files_elsewhere_stay_as_they_are(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("kept")
    tmp_path.chmod(0o777)
    mine.chmod(0o666)
    assert not run_python(f"open({str(mine)!r})").passed  # not even read
    for code in (f"open({str(mine)!r}, 'w')", f"import os\nos.remove({str(mine)!r})", "open('/etc/passwd', 'a')"):
        assert not run_python(code).passed
    assert mine.read_text() == "kept"
    assert run_python("open('here.txt', 'w').write('x')\nassert open('here.txt').read() == 'x'").passed


def test_neither_processes_nor_secrets_nor_floods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert not run_python("import os\nos.fork()").passed
    assert not run_python("import subprocess\nsubprocess.run(['true'], check=True)").passed
    assert run_python("import os\nassert not any('KEY' in name for name in os.environ)").passed
    assert not run_python("print('x' * (64 << 20))").passed
    if os.geteuid() == 0:
        assert run_python("import os\nassert os.getuid() == 65534").passed
