"""A model's folder for one way to run it: model files, tokenizer, head, manifest. What is there already is kept."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.compete.constrained.manifest import NAME, Manifest, sealed
from pilotfish.compete.constrained.task import FitTask
from pilotfish.compete.constrained.tokens import LightTokenizer
from pilotfish.compete.constrained.way import Way
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models import _weights

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["Exporter", "Source", "source_of"]

FORMAT = 1  # raise it when the same model would now be exported otherwise
CLOSE = 2e-3  # how far a graph in float32 may lie from torch
HELD = 4096  # tokens that llama.cpp takes memory for at once; a longer text is refused
CHECKED = ["Where is my card?", "The cat sat on the mat, and the dog did not.", "a"]


@dataclass(frozen=True)
class Source:
    """Weights on this machine.

    Attributes:
        name: in reports.
        weights: as they were named.
        folder: that transformers or `TextClassifier` reads.
        kind: "encoder", "causal-lm" or "classifier".
        licence: of them.
        gguf: the file that they come from, where they come from one.
    """

    name: str
    weights: str
    folder: Path
    kind: str
    licence: str
    gguf: Path | None = None

    @property
    def slug(self) -> str:
        """The name as a part of a file's."""
        return re.sub(r"[^\w.-]+", "-", self.name).strip(".-") or "model"

    @property
    def identity(self) -> str:
        """What tells the weights, and how their vectors are made, from others."""
        told = [_weights.identity_of(self.folder)]
        # How texts are cut and states pooled, which an encoder's folder has beside its weights.
        told += [path.read_text(encoding="utf-8") for path in sorted(self.folder.glob("*/config.json"))]
        told += [path.read_text(encoding="utf-8") for path in sorted(self.folder.glob("sentence_bert_config.json"))]
        return hashlib.sha256("\0".join(told).encode()).hexdigest()[:24]


def source_of(weights: str, catalog: Catalog | None = None) -> Source:
    """Return the weights of a catalog name, `hf:org/name`, a folder, a GGUF file, or a saved classifier.

    Raises:
        ModelError: no such model, or one of a kind that nothing here runs.
    """
    path = Path(weights).expanduser()
    if (path / "classifier.json").is_file():
        return Source(path.resolve().name, weights, path, "classifier", "your own")
    folder, resolved = _weights.located(weights, catalog)
    kind = "encoder" if (folder / "modules.json").is_file() else resolved.kind
    if kind not in ("encoder", "causal-lm"):
        raise ModelError(f"{weights}: a model of kind {kind!r}; encoders, language models and saved classifiers fit")
    gguf = resolved.path if resolved.path.suffix == ".gguf" else None
    return Source(resolved.name, weights, folder, kind, resolved.licence, gguf)


class Exporter:
    """Exports models for a task into a folder, one folder a way.

    Args:
        task: what they are for.
        folder: where to.
        catalog: where names are looked up.
    """

    def __init__(self, task: FitTask, folder: Path, catalog: Catalog | None = None) -> None:
        self.task, self.folder, self.catalog = task, folder, catalog

    def export(self, source: Source, way: Way) -> Path:
        """Return the folder of a model for a way to run it, written now if it is not there.

        Raises:
            MissingExtra: what exports it is not installed.
            ModelError: it cannot be exported, or does not compute what the model does.
        """
        target = self.folder / f"{source.slug}-{way.runtime}-{way.precision.replace(' ', '-')}"
        told = self._identity(source, way)
        if (target / NAME).is_file():
            with suppress(ModelError):  # a damaged one is made anew
                if Manifest.load(target).facts.get("source") == told:
                    return target
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        facts: dict[str, Any] = {"source": told}
        if self.task.sort == "classes" and source.kind == "causal-lm":
            facts |= {"labels": list(self.task.labels), "names": dict(self.task.names)}
        manifest = Manifest(self.task.sort, source.kind, source.name, source.licence, way, facts)
        if way.runtime in ("torch", "own"):
            if source.kind == "classifier":
                _self_contained(source)
            _placed(source.folder, target / "model")
        elif way.runtime == "llamacpp":
            facts |= _gguf(source, target)
        else:
            graph = self._graph(source)
            facts |= json.loads((graph / "facts.json").read_text(encoding="utf-8"))
            _placed(graph / "tokenizer", target / "tokenizer")
            facts["held"] = _written(graph / "model.onnx", target, way, facts.get("vocabulary"))
        if self.task.sort == "classes" and source.kind == "encoder":
            _placed(self._head(source), target / "head")
        manifest = replace(manifest, facts=facts)
        if way.precision == "fp32" and way.runtime in ("onnx", "openvino"):
            self._check(source, target, manifest)
        # The files are counted in last: a folder that has a manifest is whole, and was checked.
        sealed(manifest, target)
        return target

    def _identity(self, source: Source, way: Way) -> str:
        parts = [FORMAT, source.identity, str(way), self.task.sort, list(self.task.labels)]
        if self.task.sort == "classes" and source.kind == "encoder":
            parts.append(self._learnt())
        return hashlib.sha256(json.dumps([*parts, self.task.names], sort_keys=True).encode()).hexdigest()[:24]

    def _learnt(self) -> str:
        told = json.dumps([self.task.train, self.task.tune], ensure_ascii=False)
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    def _graph(self, source: Source) -> Path:
        """Return the folder of the graph in float32 that all others are made of: model.onnx, tokenizer, facts.json."""
        identity = hashlib.sha256(f"{FORMAT} {source.identity}".encode()).hexdigest()[:12]
        folder = self.folder / f"{source.slug}-graph-{identity}"
        if (folder / "facts.json").is_file():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        facts = _encoder_graph(source, folder) if source.kind == "encoder" else _lm_graph(source, folder)
        if not (folder / "tokenizer" / "tokenizer.json").is_file():
            raise ModelError(f"{source.name}: its tokenizer has no tokenizer.json, which runtimes beside torch read")
        (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        return folder

    def _head(self, source: Source) -> Path:
        """Return the folder of the head on the encoder's vectors in float32, learnt now if it is not there.

        One head serves all precisions, so that what they lose is lost by the weights alone.
        """
        folder = self.folder / f"{source.slug}-head-{self._learnt()}"
        if not (folder / "head.json").is_file():
            from pilotfish.models.classify import SoftmaxHead
            from pilotfish.models.encoder import Encoder

            if not self.task.train:
                raise DataError(f"{source.name}: an encoder learns labels from training rows; the task has none")
            texts, labels = [text for text, _ in self.task.train], [label for _, label in self.task.train]
            vectors = Encoder(source.folder, device="cpu").encode(texts)
            kept = set(self.task.tune)
            fit = [i for i in range(len(texts)) if i not in kept]
            tune = [i for i in self.task.tune if labels[i] in {labels[j] for j in fit}]
            penalties = (1.0, 10.0, 100.0)
            c = 10.0 if not tune else min(penalties, key=lambda one: _loss(vectors, labels, fit, tune, one))
            SoftmaxHead(c).fit(vectors, labels).save(folder)
        return folder

    def _check(self, source: Source, target: Path, manifest: Manifest) -> None:
        """See that a graph in float32 computes what torch does.

        Raises:
            ModelError: it does not; its folder is removed.
        """
        from pilotfish.compete.constrained.encoder import SessionEncoder
        from pilotfish.compete.constrained.engine import GraphEngine
        from pilotfish.compete.constrained.lm import SessionLM
        from pilotfish.compete.constrained.session import session_of

        session = session_of(target, manifest.way)
        if source.kind == "encoder":
            from pilotfish.models.encoder import Encoder

            wanted = Encoder(source.folder, device="cpu").encode(CHECKED)
            found = SessionEncoder(session, target, manifest.facts, source.name).encode(CHECKED)
            gap = float(np.abs(wanted - found).max())
        else:
            from pilotfish.models.local import LocalModel

            pairs = [("", text) for text in CHECKED]
            wanted_scores = LocalModel(source.folder, dtype="float32", device="cpu").score(pairs)
            found_scores = SessionLM(GraphEngine(session, manifest.facts), target, manifest.facts, source.name).score(
                pairs
            )
            gap = 0.0
            for a, b in zip(wanted_scores, found_scores, strict=True):
                same = a.tokens == b.tokens
                gap = max(gap, float(np.abs(np.subtract(a.logprobs, b.logprobs)).max()) if same else float("inf"))
        if not gap <= CLOSE:
            shutil.rmtree(target)
            raise ModelError(f"{source.name}: its {manifest.way} graph lies {gap:.3g} from torch; it is not used")


def _self_contained(source: Source) -> None:
    """Refuse a classifier whose encoder lies elsewhere: a copy of its folder would not run on another machine.

    Raises:
        ModelError: it does.
    """
    told = source.folder / "encoder.json"
    if told.is_file():
        weights = json.loads(told.read_text(encoding="utf-8"))["weights"]
        if not (source.folder / weights).resolve().is_relative_to(source.folder.resolve()):
            raise ModelError(f"{source.name}: it stands on {weights}, which is not in its folder; name that as a model")


def _loss(vectors: Any, labels: list[str], fit: list[int], tune: list[int], c: float) -> float:
    """Return the mean negative log-likelihood of rows that were kept back, of a head with a penalty."""
    from pilotfish.models.classify import SoftmaxHead

    head = SoftmaxHead(c).fit(vectors[fit], [labels[i] for i in fit])
    told = head.predict_proba(vectors[tune])
    at = [head.classes_.index(labels[i]) for i in tune]
    return float(-np.log(np.maximum(told[np.arange(len(tune)), at], 1e-12)).mean())


def _encoder_graph(source: Source, folder: Path) -> dict[str, Any]:
    from pilotfish.compete.constrained.graph import encoder_graph
    from pilotfish.models.encoder import Encoder

    encoder = Encoder(source.folder, name=source.name, device="cpu").load()
    encoder.tokenizer.save_pretrained(folder / "tokenizer")
    encoder_graph(encoder, folder / "model.onnx")
    return {
        "max_length": encoder.max_length,
        "dimension": encoder.dimension,
        "pad": int(encoder.tokenizer.pad_token_id or 0),
        "lower": bool(getattr(encoder.model[0], "do_lower_case", False)),
    }


def _lm_graph(source: Source, folder: Path) -> dict[str, Any]:
    from pilotfish.compete.constrained.graph import lm_graph
    from pilotfish.models.local import LocalModel

    local = LocalModel(source.folder, name=source.name, dtype="float32", device="cpu").load()
    local.tokenizer.save_pretrained(folder / "tokenizer")
    arch = lm_graph(local, folder / "model.onnx")
    return {
        "max_length": local.max_length,
        "vocabulary": arch.vocabulary,
        "layers": len(arch.layers),
        "heads": arch.kv_heads,
        "width": arch.head_dim,
        "ends": sorted(local.ends),
    }


def _gguf(source: Source, target: Path) -> dict[str, Any]:
    """Place a GGUF file and the tokenizer that was read out of it; return what the engine needs to know."""
    assert source.gguf is not None
    _linked(source.gguf, target / "model.gguf")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (source.folder / name).is_file():
            (target / "tokenizer").mkdir(exist_ok=True)
            _linked(source.folder / name, target / "tokenizer" / name)
    config = json.loads((source.folder / "config.json").read_text(encoding="utf-8"))
    generation = json.loads((source.folder / "generation_config.json").read_text(encoding="utf-8"))
    ends = generation.get("eos_token_id")
    own = LightTokenizer(target / "tokenizer").eos_token_id
    found = {*(ends if isinstance(ends, list) else [ends]), own}
    return {
        "max_length": min(HELD, int(config["max_position_embeddings"])),
        "vocabulary": int(config["vocab_size"]),
        "ends": sorted(one for one in found if one is not None),
        "held": source.gguf.stem,
    }


def _written(graph: Path, target: Path, way: Way, vocabulary: int | None) -> str:
    """Write the model of a way out of the graph; return how its weights are held."""
    if way.runtime == "openvino":
        from pilotfish.compete.constrained.quantize_openvino import to_openvino

        return to_openvino(graph, target / "model.xml", way.precision, vocabulary)
    from pilotfish.compete.constrained.quantize_onnx import to_int4, to_int8

    if way.precision == "int8":
        return to_int8(graph, target / "model.onnx")
    if way.precision == "int4":
        return to_int4(graph, target / "model.onnx", vocabulary)
    if way.precision != "fp32":
        raise ConfigError(f"ONNX Runtime has no {way.precision} here")
    for path in graph.parent.glob("model.onnx*"):
        # No links: the onnx package refuses to read weights that have two names.
        shutil.copyfile(path, target / path.name)
    return ""


def _placed(source: Path, target: Path) -> None:
    """Put a folder's files at another place, by links where the disk has them: nothing here writes into them."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            _linked(path, target / path.relative_to(source))


def _linked(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)
