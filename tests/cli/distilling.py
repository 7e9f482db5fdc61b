"""What the tests of `pilotfish distill` share: the command in this process, files, and teachers behind HTTP."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from pilotfish.cli.main import run
from tests.cli.help import SECRET

__all__ = ["FIT", "Command", "command_here"]

Command = Callable[..., subprocess.CompletedProcess[str]]
FIT = """
[distill.fit]
steps = 4
batch_tokens = 400
rate = 0.01
"""


def command_here(capfd: pytest.CaptureFixture[str]) -> Command:
    """Return what runs a command in this process, as its entry point does: quick, for torch is imported once."""

    def pilotfish(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        before = Path.cwd()
        os.chdir(cwd)
        try:
            capfd.readouterr()
            with mock.patch.dict(os.environ, {"TEST_KEY": SECRET}), pytest.raises(SystemExit) as ended:
                run([str(argument) for argument in arguments])
        finally:
            os.chdir(before)
        told = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess(list(map(str, arguments)), ended.value.code, told.out, told.err)

    return pilotfish
