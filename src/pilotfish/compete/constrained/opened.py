"""An exported folder as a model: what the manifest says, on the runtime that it names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.constrained.manifest import Manifest
from pilotfish.errors import ModelError

if TYPE_CHECKING:
    from pilotfish.compete.constrained.engine import Engine
    from pilotfish.models.classify import Labeller, TextClassifier
    from pilotfish.models.classify.classifier import ClassifierModel

__all__ = ["Opened", "open"]

TOKENS = 256  # of an answer where nobody says

# A model that answers with labels, an encoder, or a language model.
Opened = Any


def open(folder: str | Path, *, name: str | None = None, threads: int | None = None, check: bool = False) -> Opened:
    """Return the model of a folder that `fit` exported.

    Args:
        folder: with manifest.json.
        name: in traces; the weights' own by default.
        threads: processor threads; None leaves the runtime's choice.
        check: hold every file against its sha256, which reads them once more.

    Returns:
        For a task of labels a `Model` that answers with one; for similarity an encoder with `encode`; for choices and
        texts a language model: a `Model` with `score` and `choices`.

    Raises:
        MissingExtra: its runtime is not installed.
        ModelError: no such folder, or a damaged one.
    """
    folder = Path(folder)
    manifest = Manifest.load(folder, check=check)
    name = name or manifest.model
    if manifest.kind == "classifier":
        from pilotfish.models.classify import ClassifierModel, TextClassifier

        return ClassifierModel(TextClassifier.load(folder / "model"), name=name)
    if manifest.kind == "encoder":
        encoder = _encoder(folder, manifest, name, threads)
        return encoder if manifest.task != "classes" else _with_head(encoder, folder, name)
    model = _lm(folder, manifest, name, threads)
    return model if manifest.task != "classes" else _labeller(model, manifest, name)


def _encoder(folder: Path, manifest: Manifest, name: str, threads: int | None) -> Any:
    way = manifest.way
    if way.runtime != "torch":
        from pilotfish.compete.constrained.encoder import SessionEncoder
        from pilotfish.compete.constrained.session import session_of

        return SessionEncoder(session_of(folder, way, threads), folder, manifest.facts, name)
    from pilotfish.models.encoder import Encoder

    dtype = "bfloat16" if way.precision == "bf16" else "float32"
    encoder = Encoder(folder / "model", name=name, dtype=dtype, device="cpu", threads=threads)
    if way.precision not in ("int8", "int4"):
        return encoder.load()
    from pilotfish.compete.constrained.torch_encoder import quantized

    return quantized(encoder, way.precision)


def _lm(folder: Path, manifest: Manifest, name: str, threads: int | None) -> Any:
    way = manifest.way
    if way.runtime != "torch":
        from pilotfish.compete.constrained.lm import SessionLM

        engine = _engine(folder, manifest, threads)
        return SessionLM(engine, folder, manifest.facts, name, max_tokens=TOKENS)
    from pilotfish.models.local import LocalModel

    few = way.precision if way.precision in ("int8", "int4") else "none"
    # Of few bits the rest is in what the processor is fastest in.
    dtype = {"fp32": "float32", "bf16": "bfloat16"}.get(way.precision, "auto")
    how: dict[str, Any] = {"dtype": dtype, "quantize": few, "device": "cpu", "threads": threads}
    return LocalModel(folder / "model", name=name, max_tokens=TOKENS, **how).load()


def _engine(folder: Path, manifest: Manifest, threads: int | None) -> Engine:
    if manifest.way.runtime == "llamacpp":
        from pilotfish.compete.constrained.llamacpp import LlamaEngine

        return LlamaEngine(folder / "model.gguf", int(manifest.facts["max_length"]), threads)
    from pilotfish.compete.constrained.engine import GraphEngine
    from pilotfish.compete.constrained.session import session_of

    return GraphEngine(session_of(folder, manifest.way, threads), manifest.facts)


class Vectors:
    """Whatever encodes texts, as the features of a `TextClassifier`."""

    kind = "fitted"

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder

    def fit(self, texts: Sequence[str]) -> Vectors:
        """Return self: there is nothing to learn."""
        return self

    def transform(self, texts: Sequence[str], *, progress: Any = None) -> NDArray[np.float32]:
        """Return (texts, dimension)."""
        found: NDArray[np.float32] = self.encoder.encode(texts, progress=progress)
        return found

    def save(self, folder: Path) -> None:
        """Refuse.

        Raises:
            ModelError: always; an exported folder is copied as it is.
        """
        raise ModelError(f"{folder}: an exported model is copied as the folder that it lies in")


def _with_head(encoder: Any, folder: Path, name: str) -> ClassifierModel:
    from pilotfish.models.classify import ClassifierModel, SoftmaxHead, TextClassifier

    classifier: TextClassifier = TextClassifier(Vectors(encoder), SoftmaxHead.load(folder / "head"))
    return ClassifierModel(classifier, name=name)


def _labeller(model: Any, manifest: Manifest, name: str) -> Labeller:
    from pilotfish.models.classify import Labeller

    return Labeller(model, manifest.facts["labels"], names=manifest.facts["names"], name=name)
