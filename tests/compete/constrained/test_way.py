from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from pilotfish.compete.constrained import way
from pilotfish.compete.constrained.way import Way, missing, ways_of
from pilotfish.errors import ConfigError


def test_every_runtime_in_every_precision_that_it_has() -> None:
    found = ways_of("causal-lm")
    assert found[0] == Way("torch", "fp32") and len(found) == len(set(found)) == 11
    assert Way("onnx", "bf16") not in found
    assert ways_of("encoder", ["openvino"], ["int8"]) == [Way("openvino", "int8")]
    assert ways_of("classifier", ["onnx"]) == [Way("own", "as saved")]
    assert ways_of("causal-lm", gguf=True) == [*found, Way("llamacpp", "as saved")]
    assert Way("llamacpp", "as saved") not in ways_of("causal-lm", (), ["int8"], gguf=True)


def test_what_is_not_known_is_told() -> None:
    with pytest.raises(ConfigError, match="no runtime 'onx'; did you mean 'onnx'"):
        ways_of("encoder", ["onx"])
    with pytest.raises(ConfigError, match="no precision 'int5'"):
        ways_of("encoder", (), ["int5"])
    with pytest.raises(ConfigError, match="no way to run this model: onnx in bf16"):
        ways_of("encoder", ["onnx"], ["bf16"])


def test_a_missing_library_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else there(name))
    assert missing(Way("onnx", "int8")) == "onnxruntime is not installed: pip install 'pilotfish[onnx]'"
    assert missing(Way("torch", "fp32")) is None


@pytest.mark.parametrize(
    ("facts", "there"),
    [
        ({"system": "Linux 6 x86_64", "instructions": ["avx2"]}, False),
        ({"system": "Linux 6 x86_64", "instructions": ["avx2", "amx_bf16"]}, True),
        ({"system": "Linux 6 aarch64", "instructions": []}, True),
    ],
)
def test_bfloat16_needs_a_processor_that_has_it(
    facts: dict[str, Any], there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "machine", lambda: facts)
    assert (missing(Way("openvino", "bf16")) is None) == there
    assert missing(Way("openvino", "fp32")) is None
    assert missing(Way("torch", "bf16")) is None  # slow there, and measured to be
