"""Run the command line as users do: a process of its own, its exit code and what it printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.forks import Forked, forked

SECRET = "sk-very-secret"
ENTRY = "from pilotfish.cli.main import run; run()"


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a command: no hub, no key but the tests' own, and output buffered as users have it."""
    left_out = ("OPENAI_", "PYTEST_", "PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, "HF_HUB_OFFLINE": "1", "TEST_KEY": SECRET, "COLUMNS": "100", **(more or {})}


def command(*arguments: str | Path, before: str = "") -> list[str]:
    """Return the command line of a fresh `pilotfish`; `before` is Python that runs first."""
    return [sys.executable, "-c", f"{before}\n{ENTRY}", *map(str, arguments)]


def pilotfish(
    *arguments: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    before: str = "",
    disk: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; what it printed is decoded as UTF-8.

    Args:
        arguments: of the command.
        cwd: where it runs.
        env: joins its environment, from the start of a fresh interpreter.
        stdin: what it may read.
        before: Python that runs first, in a fresh interpreter.
        disk: bytes that a file may have, as on a disk that is full.
    """
    if before or env:
        run = subprocess.run(
            command(*arguments, before=before),
            cwd=cwd,
            env=environment(env),
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )
        code, out, err = run.returncode, run.stdout, run.stderr
    else:
        limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({disk}, {disk}))\n"
        with forked((limit if disk else "") + ENTRY, *arguments, cwd=cwd, env=environment()) as process:
            try:
                out, err = process.communicate(stdin, timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            code = process.wait()
    return subprocess.CompletedProcess(list(arguments), code, out.decode("utf-8"), err.decode("utf-8"))


def start(*arguments: str | Path, cwd: Path) -> Forked:
    """Start a command and return at once."""
    return forked(ENTRY, *arguments, cwd=cwd, env=environment())


def error_of(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    """Check that a command ended with one clear line on standard error, and return the line."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr + done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert done.stderr.rstrip().endswith(lines[0]), "the error is the last thing said"
    return lines[0]


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def remote(name: str, url: str, *lines: str) -> str:
    """Return the TOML table of a scripted endpoint."""
    head = [f"[models.{name}]", 'use = "openai"', 'model = "scripted-1"', f'base_url = "{url}"']
    return "\n".join([*head, 'key_env = "TEST_KEY"', "cache = false", "retries = 0", *lines, ""])


def write_toml(path: Path, *tables: str | Sequence[str]) -> Path:
    """Write a collaboration file."""
    path.write_text("\n".join(table if isinstance(table, str) else "\n".join(table) for table in tables), "utf-8")
    return path
