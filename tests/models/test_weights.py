"""A name becomes a folder, a dtype and a device."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pilotfish.errors import ConfigError, ModelError
from pilotfish.models import _weights
from pilotfish.models.local import LocalModel
from tests.tiny import write_lm

torch = pytest.importorskip("torch")


def test_a_folder_is_found_as_it_is(tmp_path: Path) -> None:
    folder = write_lm(tmp_path / "model")
    path, resolved = _weights.located(folder, None)
    assert (path, resolved.kind) == (folder, "causal-lm")
    with pytest.raises(ModelError, match="no such file or folder"):
        _weights.located(tmp_path / "nowhere", None)


def test_a_folder_is_told_by_what_it_holds_wherever_it_lies(tmp_path: Path) -> None:
    folder = write_lm(tmp_path / "model", seed=0)
    before = _weights.identity_of(folder)
    moved = folder.rename(tmp_path / "moved")
    (moved / "README.md").write_text("says nothing of the weights", encoding="utf-8")
    assert _weights.identity_of(moved) == before == LocalModel(moved).identity
    assert LocalModel(moved, quantize="int8").identity != before
    assert _weights.identity_of(write_lm(tmp_path / "model", seed=1)) != before
    assert _weights.identity_of("smollm2-135m-instruct") == "smollm2-135m-instruct"


@pytest.mark.models
def test_a_gguf_file_becomes_a_folder_of_safetensors() -> None:
    path, resolved = _weights.located("smollm2-135m-instruct", None, progress=False)
    assert resolved.path.suffix == ".gguf"
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {file.name for file in path.iterdir()}


@pytest.mark.parametrize(
    ("cuda", "mps", "device"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_the_first_device_that_is_there(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert _weights.pick_device("auto") == device
    assert _weights.pick_device("cpu") == "cpu"


@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_a_device_that_is_not_there_is_one_line(device: str) -> None:
    with pytest.raises(ConfigError, match=f"device '{device}' is not there: .*; use auto or cpu") as caught:
        _weights.pick_device(device)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("device", "native", "expected"),
    [
        ("cpu", True, "bfloat16"),
        ("cpu", False, "float32"),
        ("cuda", True, "bfloat16"),
        ("cuda:0", False, "float16"),
        ("mps", True, "float16"),
    ],
)
def test_auto_takes_bfloat16_where_it_is_native(
    monkeypatch: pytest.MonkeyPatch, device: str, native: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: native)
    monkeypatch.setattr(_weights, "cpu_has_bfloat16", lambda: native)
    assert _weights.pick_dtype("auto", device) is getattr(torch, expected)
    assert _weights.pick_dtype("float16", device) is torch.float16


@pytest.mark.parametrize(
    ("capabilities", "native"),
    [({"avx2": True, "avx512_bf16": False}, False), ({"amx_bf16": True}, True), ({"bf16": True}, True), ({}, False)],
)
def test_the_processor_is_asked_for_bfloat16(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, Any], native: bool
) -> None:
    monkeypatch.setattr(torch, "cpu", SimpleNamespace(get_capabilities=lambda: capabilities))
    assert _weights.cpu_has_bfloat16() is native


def test_names_of_dtypes_are_checked_without_torch() -> None:
    script = (
        "import sys; from pilotfish.models._weights import check_dtype; check_dtype('auto'); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    with pytest.raises(ConfigError, match="dtype must be one of auto, bfloat16, float16, float32, not 'half'"):
        _weights.pick_dtype("half", "cpu")


def test_threads_are_set_where_asked() -> None:
    before = torch.get_num_threads()
    try:
        _weights.use_threads(2)
        assert torch.get_num_threads() == 2
        _weights.use_threads(None)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_first_line_of_an_error() -> None:
    assert _weights.first_line(ValueError("\n  one \ntwo")) == "one"
    assert _weights.first_line(MemoryError()) == "MemoryError"
