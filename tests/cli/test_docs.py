"""docs/cli.md is what the commands say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pilotfish.cli._docs import page
from pilotfish.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_fresh() -> None:
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == page(), "run `make docs`"


def test_the_page_has_every_command() -> None:
    text = page()
    assert all(f"\n### pilotfish {name}\n" in text for name in COMMANDS)
    assert "#### pilotfish rows split" in text
    assert "--stratify" in text


def test_the_page_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert max(map(len, page().splitlines())) > 80
    done = subprocess.run(
        [sys.executable, "-m", "pilotfish.cli._docs"], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    assert done.stdout == page()
