"""A result's folder: whose it is, and what decides that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from pilotfish.errors import DataError
from pilotfish.train.folder import digest, finished, settled, write_report


@dataclass(frozen=True)
class Settings:
    rows: int
    rate: float = 0.1
    names: tuple[str, ...] = ("a",)


def test_defaults_are_no_part_of_an_identity() -> None:
    assert settled(Settings(3)) == {"rows": 3}
    assert settled(Settings(3, 0.2, ("b",))) == {"rows": 3, "rate": 0.2, "names": ("b",)}


def test_rows_settings_and_their_order_tell_runs_apart() -> None:
    told = [digest([1], ["a", "b"]), digest([1], ["b", "a"]), digest([2], ["a", "b"]), digest([1], ["ab"])]
    assert len(set(told)) == 4
    assert digest({"x": 1, "y": 2}, []) == digest({"y": 2, "x": 1}, [])


def test_a_folder_is_one_run_s(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert finished(out, "report.json", "me", ("run",)) is None
    (out / "run").mkdir(parents=True)
    (out / "model.safetensors").write_bytes(b"half")
    assert finished(out, "report.json", "me", ("run",)) is None  # a run of ours that was killed while it wrote
    write_report(out, "report.json", "me", {"steps": 3})
    assert finished(out, "report.json", "me", ("run",)) == {"steps": 3}
    with pytest.raises(DataError, match="another run"):
        finished(out, "report.json", "you", ("run",))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not touch")
    with pytest.raises(DataError, match=r"holds thesis\.txt already"):
        finished(tmp_path / "mine", "report.json", "me", ("run",))
