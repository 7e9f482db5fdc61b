"""What is read from a folder, and what is said of one that holds something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from pilotfish._saved import facts_in, reading
from pilotfish.errors import MissingExtra, ModelError


def read(folder: Path) -> int:
    with reading(folder, "thing"):
        return int(facts_in(folder / "thing.json", "thing", 2)["size"])


def test_what_is_there_is_returned(tmp_path: Path) -> None:
    (tmp_path / "thing.json").write_text('{"format": 2, "size": 7}')
    assert read(tmp_path) == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "not a saved thing: .*No such file"),
        ("{", r"not a saved thing: thing\.json: Expecting"),
        ("[]", "not a saved thing: thing.json holds no JSON object"),
        (json.dumps({"format": 2}), "not a saved thing: 'size' is missing"),
        (json.dumps({"format": 2, "size": "x"}), "not a saved thing: invalid literal"),
        (json.dumps({"format": 3, "size": 7}), "a thing of format 3; this version reads 2"),
    ],
)
def test_what_is_not_is_told_in_a_line(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "thing.json").write_text(text)
    with pytest.raises(ModelError, match=said):
        read(tmp_path)


def test_damaged_arrays_are_told_and_other_faults_pass(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no arrays")
    with pytest.raises(ModelError, match="not a saved thing"), reading(tmp_path, "thing"):
        load_file(tmp_path / "a.safetensors")
    with pytest.raises(MissingExtra), reading(tmp_path, "thing"):
        raise MissingExtra("pip install it")
    with pytest.raises(RuntimeError), reading(tmp_path, "thing"):
        raise RuntimeError("a bug")
