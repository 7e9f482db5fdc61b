"""A graph on this machine's processor: ONNX Runtime or OpenVINO, arrays in and arrays out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.compete.constrained.way import Way
from pilotfish.errors import ModelError

__all__ = ["OnnxSession", "OpenVinoSession", "Session", "session_of"]

Arrays = Mapping[str, NDArray[Any]]


class Session(Protocol):
    """A graph that is ready to run."""

    about: str

    def run(self, inputs: Arrays) -> list[NDArray[Any]]:
        """Return the outputs, in the graph's order."""


class OnnxSession:
    """A graph run by ONNX Runtime.

    Args:
        path: model.onnx.
        threads: of one product; None leaves the library's choice.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        library = need("onnxruntime", "onnx")
        options = library.SessionOptions()
        options.log_severity_level = 3
        options.inter_op_num_threads = 1
        if threads is not None:
            options.intra_op_num_threads = threads
        # Waiting threads that spin would be counted as work: they take energy and give nothing.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = library.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no base but Exception
            raise ModelError(f"{path}: ONNX Runtime does not load it: {_first(error)}") from error
        self._outputs = [one.name for one in self._session.get_outputs()]
        self.about = f"onnxruntime {library.__version__}"

    def run(self, inputs: Arrays) -> list[NDArray[Any]]:
        """Return the outputs, in the graph's order."""
        return list(self._session.run(self._outputs, dict(inputs)))


class OpenVinoSession:
    """A graph run by OpenVINO.

    Args:
        path: model.xml.
        precision: "f32", or "bf16" for products in bfloat16.
        threads: None leaves the library's choice.
    """

    def __init__(self, path: Path, precision: str = "f32", threads: int | None = None) -> None:
        library = need("openvino", "openvino")
        config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        if threads is not None:
            config["INFERENCE_NUM_THREADS"] = threads
        try:
            core = library.Core()
            compiled = core.compile_model(core.read_model(str(path)), "CPU", config)
        except RuntimeError as error:
            raise ModelError(f"{path}: OpenVINO does not load it: {_first(error)}") from error
        self._request = compiled.create_infer_request()
        self._outputs = len(compiled.outputs)
        self.about = f"openvino {library.__version__.partition('-')[0]}, products in {precision}"

    def run(self, inputs: Arrays) -> list[NDArray[Any]]:
        """Return the outputs, in the graph's order."""
        found = self._request.infer(dict(inputs))
        # Copies: what it returns looks into memory that the next call writes.
        return [np.array(found[i]) for i in range(self._outputs)]


def session_of(folder: Path, way: Way, threads: int | None = None) -> Session:
    """Return the session of an exported folder.

    Raises:
        MissingExtra: the runtime is not installed.
        ModelError: it does not load the graph.
    """
    if way.runtime == "onnx":
        return OnnxSession(folder / "model.onnx", threads)
    return OpenVinoSession(folder / "model.xml", "bf16" if way.precision == "bf16" else "f32", threads)


def _first(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
