"""The ways to run a model: a runtime and a precision; and which of them this machine has."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.measure.meters import machine

__all__ = ["PRECISIONS", "RUNTIMES", "Kind", "Precision", "Runtime", "Way", "missing", "ways_of"]

Kind = Literal["encoder", "causal-lm", "classifier"]
Runtime = Literal["torch", "onnx", "openvino", "llamacpp", "own"]
Precision = Literal["fp32", "bf16", "int8", "int4", "as saved"]

RUNTIMES: tuple[Runtime, ...] = ("torch", "onnx", "openvino", "llamacpp")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8", "int4")
# ONNX Runtime multiplies no bfloat16 on x86 processors.
_HAS: dict[Runtime, tuple[Precision, ...]] = {
    "torch": PRECISIONS,
    "onnx": ("fp32", "int8", "int4"),
    "openvino": PRECISIONS,
    "llamacpp": ("as saved",),
    "own": ("as saved",),
}
_NEEDS = {
    "torch": (("torch", "local"), ("transformers", "local")),
    "onnx": (("onnx", "onnx"), ("onnxruntime", "onnx")),
    # OpenVINO reads the graph that is exported as ONNX.
    "openvino": (("onnx", "onnx"), ("openvino", "openvino")),
    "llamacpp": (("cyllama", "llamacpp"),),
    "own": (),
}


@dataclass(frozen=True)
class Way:
    """How a model is run.

    Attributes:
        runtime: "torch" (this project's own engine for language models), "onnx" (ONNX Runtime), "openvino", "llamacpp"
            for a GGUF file, or "own" for a saved classifier.
        precision: of the linear layers' weights; GGUF files and classifiers run as they were saved.
    """

    runtime: Runtime
    precision: Precision

    def __str__(self) -> str:
        return f"{self.runtime} {self.precision}"


def ways_of(
    kind: str, runtimes: Sequence[str] | None = None, precisions: Sequence[str] | None = None, *, gguf: bool = False
) -> list[Way]:
    """Return the ways to run a kind of model, in the order of the runtimes; fp32 comes first.

    Args:
        kind: "encoder", "causal-lm" or "classifier".
        runtimes: only these; all where none is named.
        precisions: only these; all where none is named.
        gguf: whether there is a GGUF file of it, which llama.cpp runs as it is.

    Raises:
        ConfigError: an unknown runtime or precision, or together they leave no way.
    """
    if kind == "classifier":
        return [Way("own", "as saved")]
    for words, known, what in ((runtimes, RUNTIMES, "runtime"), (precisions, PRECISIONS, "precision")):
        for word in words or ():
            if word not in known:
                raise ConfigError(f"no {what} {word!r}{did_you_mean(word, known)}")
    found = [
        Way(runtime, precision)
        for runtime in RUNTIMES
        for precision in _HAS[runtime]
        if (not runtimes or runtime in runtimes)
        and (not precisions or precision in precisions)
        and (gguf or runtime != "llamacpp")
    ]
    if not found:
        what = f"{', '.join(runtimes or RUNTIMES)} in {', '.join(precisions or PRECISIONS)}"
        raise ConfigError(f"no way to run this model: {what}; llama.cpp runs GGUF files, ONNX Runtime no bf16")
    return found


def missing(way: Way) -> str | None:
    """Return why a way cannot be gone on this machine, or None: what to install, or what the processor lacks."""
    for module, extra in _NEEDS[way.runtime]:
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed: pip install 'pilotfish[{extra}]'"
    # torch computes bfloat16 without such instructions too, slowly; OpenVINO would take float32 in silence.
    facts = machine()
    arm = facts["system"].endswith(("aarch64", "arm64"))
    if way == Way("openvino", "bf16") and not arm and not {"avx512_bf16", "amx_bf16"} & set(facts["instructions"]):
        return "this processor has no bfloat16 instructions"
    return None
