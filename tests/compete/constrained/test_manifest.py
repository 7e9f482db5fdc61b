from __future__ import annotations

from pathlib import Path

import pytest

from pilotfish.compete.constrained.manifest import Manifest, sealed
from pilotfish.compete.constrained.way import Way
from pilotfish.errors import ModelError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "part").mkdir()
    (tmp_path / "model.onnx").write_bytes(b"graph")
    (tmp_path / "part" / "weights").write_bytes(b"12345")
    sealed(Manifest("classes", "encoder", "m", "MIT", Way("onnx", "int8"), {"a": 1}), tmp_path)
    return tmp_path


def test_a_manifest_tells_every_file(folder: Path) -> None:
    found = Manifest.load(folder, check=True)
    assert set(found.files) == {"model.onnx", "part/weights"}
    assert (found.disk, found.way, found.facts) == (10, Way("onnx", "int8"), {"a": 1})


def test_figures_change_the_manifest_and_not_what_it_is(folder: Path) -> None:
    before = Manifest.load(folder)
    sealed(before, folder, {"p95": 0.1})
    after = Manifest.load(folder)
    assert after.measured == {"p95": 0.1} and after.digest == before.digest
    (folder / "model.onnx").write_bytes(b"other")
    sealed(before, folder)
    assert Manifest.load(folder).digest != before.digest


def test_a_file_that_changed_is_told(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"grapH")
    Manifest.load(folder)  # of the same size
    with pytest.raises(ModelError, match=r"model.onnx has changed"):
        Manifest.load(folder, check=True)
    (folder / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"model.onnx is missing"):
        Manifest.load(folder)


def test_another_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a saved fitted model"):
        Manifest.load(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 9}')
    with pytest.raises(ModelError, match="format 9"):
        Manifest.load(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 1, "task": "classes"}')
    with pytest.raises(ModelError, match="not a saved fitted model"):
        Manifest.load(tmp_path)
