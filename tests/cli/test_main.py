"""The command line as a whole: help, version, unknown commands, and how errors, stops and lost readers are told."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import click
import numpy as np
import pytest

import pilotfish
from pilotfish.cli.main import COMMANDS, told
from pilotfish.errors import ConfigError, DataError
from tests.cli.help import command, environment, error_of, write_rows
from tests.cli.help import pilotfish as run


def test_version_and_help_say_what_there_is(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout == f"pilotfish {pilotfish.__version__}\n"
    shown = run("-h", cwd=tmp_path)
    assert shown.returncode == 0
    assert all(f"  {name} " in shown.stdout for name in COMMANDS)


def test_every_command_has_help(tmp_path: Path) -> None:
    before = "import pilotfish.cli.main as m, click, sys\nfor n in m.COMMANDS:\n"
    before += "    m.main.main([n, '--help'], standalone_mode=False)\nsys.exit(0)"
    done = run(cwd=tmp_path, before=before)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: ") == len(COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["advize"], "no command 'advize'; did you mean 'advise'?"),
        (["rows", "haed", "x"], "'haed'"),
        (["rows", "head"], "Missing argument 'SRC'"),
        (["rows", "head", "x", "--formt", "csv"], "--format"),
        (["rows", "head", "x", "-n", "0"], "0 is not in the range"),
    ],
)
def test_a_wrong_word_is_one_line_that_names_the_right_one(tmp_path: Path, arguments: list[str], message: str) -> None:
    assert message in error_of(run(*arguments, cwd=tmp_path))


def test_debug_shows_the_traceback_wherever_it_stands(tmp_path: Path) -> None:
    for arguments in (["--debug", "rows", "head", "none"], ["rows", "head", "none", "--debug"]):
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert "Traceback" in done.stderr
        assert done.stderr.endswith("error: none: no such file\n")
    # After a bare -- it is a word like any other.
    assert error_of(run("rows", "head", "--", "--debug", cwd=tmp_path)) == "error: --debug: no such file"


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", ({"text": "x" * 1000} for _ in range(2000)))
    process = subprocess.Popen(
        command("rows", "convert", "rows.jsonl", "-"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"{")
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(30) == 0
    process.stderr.close()


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["rows", "head", "rows.jsonl"]])
def test_a_full_standard_output_is_one_line(tmp_path: Path, arguments: list[str]) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"text": "x"}])
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command(*arguments), cwd=tmp_path, env=environment(), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr.decode().count("\n") == 1
    assert "No space left on device" in done.stderr.decode()


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (DataError("two\n lines"), "error: two lines", 2),
        (ExceptionGroup("g", [ValueError("x"), ExceptionGroup("h", [ConfigError("ours")])]), "error: ours", 2),
        (BaseExceptionGroup("g", [ConfigError("c"), KeyboardInterrupt()]), "stopped", 130),
        (KeyboardInterrupt("half is done"), "half is done", 130),
        (click.Abort(), "stopped", 130),
        (click.exceptions.Exit(3), "", 3),
        (SystemExit("text"), "", 1),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "", 0),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), "/x: No space left on device; free some space", 2),
        (PermissionError(errno.EACCES, "Permission denied", "/y"), "error: /y: Permission denied", 2),
        (MemoryError(), "out of memory", 2),
        (ZeroDivisionError("division by zero"), "a bug: ZeroDivisionError: division by zero (the same command", 1),
    ],
)
def test_whatever_ends_a_command_is_at_most_one_line(error: BaseException, line: str, code: int) -> None:
    found = told(error)
    assert line in found[0]
    assert (found[0] == "") == (line == "")
    assert "\n" not in found[0]
    assert found[1] == code


def test_a_file_that_safetensors_cannot_write_is_no_bug(tmp_path: Path) -> None:
    files = pytest.importorskip("safetensors.numpy")
    with pytest.raises(Exception, match="os error") as caught:
        files.save_file({"x": np.zeros(3)}, tmp_path / "none" / "x.safetensors")
    line, code = told(caught.value)
    assert line.startswith("error: cannot write a model's weights: No such file")
    assert code == 2


def test_a_bug_is_told_as_one_and_debug_shows_where(tmp_path: Path) -> None:
    broken = "import pilotfish.rows as r\ndef read(*a, **k): raise RuntimeError('oh')\nr.read = read"
    done = run("rows", "head", "x", cwd=tmp_path, before=broken)
    assert error_of(done, 1).startswith("error: a bug: RuntimeError: oh")
    assert "in read" in run("rows", "head", "x", "--debug", cwd=tmp_path, before=broken).stderr
