"""Folders of late-interaction models: PyLate's, Stanford's ColBERT checkpoints, and plain encoders.

PyLate's folder is sentence-transformers' with `pylate.models.Dense.Dense` behind the transformer and its settings in
`config_sentence_transformers.json`; ColBERT's is a BERT with `linear.weight` among its weights and
`artifact.metadata`. Nothing of a folder's own code is run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ModelError
from pilotfish.retrieve.late.settings import LateSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Dense", "Layout", "read_layout", "write_layout"]

CONFIG, MODULES = "config_sentence_transformers.json", "modules.json"
# What a Dense module names; PyLate's own are the identity.
_ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid")


@dataclass(frozen=True, eq=False)
class Dense:
    """A linear layer on the transformer's states.

    Attributes:
        weight: (out, in).
        bias: (out,) or None.
        activation: its name in torch.nn.
        residual: what came in is added: None for not, else its (out, in) weight, or one without numbers where both
            widths are the same.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None
    activation: str = "Identity"
    residual: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Layout:
    """What a folder holds.

    Attributes:
        transformer: the folder of the transformer and its tokenizer.
        dense: the layers on top, first to last.
        settings: as told, None where the folder tells of no late interaction.
        lower: whether texts are put into small letters before the tokenizer.
    """

    transformer: Path
    dense: tuple[Dense, ...]
    settings: LateSettings | None
    lower: bool = False


def read_layout(folder: Path) -> Layout:
    """Return what a folder of weights holds, within `reading`.

    Raises:
        ModelError: modules that are not known.
    """
    if (folder / MODULES).is_file():
        return _sentence_transformers(folder)
    config = _json(folder / "config.json")
    if (config.get("architectures") or [""])[0] == "HF_ColBERT":
        return _stanford(folder)
    return Layout(folder, (), None)


def _sentence_transformers(folder: Path) -> Layout:
    modules = sorted(_json(folder / MODULES), key=lambda one: one["idx"])
    kinds = [one["type"].rpartition(".")[2] for one in modules]
    if kinds[0] != "Transformer" or set(kinds[1:]) - {"Dense", "Pooling", "Normalize"}:
        raise ModelError(
            f"{folder}: its modules are {', '.join(kinds)}; late interaction takes a Transformer and Dense"
        )
    transformer = folder / modules[0]["path"]
    lower = False
    if (transformer / "sentence_bert_config.json").is_file():
        lower = bool(_json(transformer / "sentence_bert_config.json").get("do_lower_case", False))
    told = _json(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    if "Pooling" in kinds:  # one vector a text is what it was made for: what comes behind is not for tokens
        return Layout(transformer, (), None, lower)
    dense = tuple(_dense(folder / one["path"]) for one, kind in zip(modules, kinds, strict=True) if kind == "Dense")
    known = LateSettings.__dataclass_fields__
    given = {name: value for name, value in told.items() if name in known and value is not None}
    if "skiplist_words" in given:
        given["skiplist_words"] = tuple(given["skiplist_words"])
    prompt = (told.get("prompts") or {}).get(told.get("default_prompt_name")) or ""
    return Layout(transformer, dense, LateSettings(**{**given, "prompt": prompt}), lower)


def _dense(folder: Path) -> Dense:
    told = _json(folder / "config.json")
    activation = str(told.get("activation_function", "torch.nn.modules.linear.Identity")).rpartition(".")[2]
    if activation not in _ACTIVATIONS:
        raise ModelError(f"{folder}: activation {activation}; known: {', '.join(_ACTIVATIONS)}")
    held = _tensors(folder / "model.safetensors")
    residual = None
    if told.get("use_residual"):
        residual = held.get("residual.weight", np.zeros((0, 0), np.float32))
    return Dense(held["linear.weight"], held.get("linear.bias"), activation, residual)


def _stanford(folder: Path) -> Layout:
    held = _tensors(folder / "model.safetensors", ["linear.weight"])
    settings = LateSettings("[unused0]", "[unused1]")
    if (folder / "artifact.metadata").is_file():
        told = _json(folder / "artifact.metadata")
        names = {
            "query_prefix": "query_token_id",
            "document_prefix": "doc_token_id",
            "query_length": "query_maxlen",
            "document_length": "doc_maxlen",
            "attend_to_expansion_tokens": "attend_to_mask_tokens",
        }
        given = {ours: told[theirs] for ours, theirs in names.items() if told.get(theirs) is not None}
        settings = replace(settings, **given)
    return Layout(folder, (Dense(held["linear.weight"]),), settings)


def write_layout(folder: Path, dense: Sequence[Dense], settings: LateSettings, width: int, *, lower: bool) -> None:
    """Write what makes a folder with a transformer in it PyLate's; `modules.json` comes last."""
    if not dense:
        # Where there is no layer PyLate makes one of random numbers.
        dense = [Dense(np.eye(width, dtype=np.float32))]
    save = need("safetensors.numpy", "local").save_file
    for old in folder.glob("*_Dense"):
        shutil.rmtree(old)
    for number, one in enumerate(dense, 1):
        own = folder / f"{number}_Dense"
        own.mkdir()
        arrays = {"linear.weight": np.ascontiguousarray(one.weight, np.float32)}
        if one.bias is not None:
            arrays["linear.bias"] = np.ascontiguousarray(one.bias, np.float32)
        if one.residual is not None and one.residual.size:
            arrays["residual.weight"] = np.ascontiguousarray(one.residual, np.float32)
        save(arrays, own / "model.safetensors")
        part = "linear" if one.activation == "Identity" else "activation"
        _write(
            own / "config.json",
            {
                "in_features": one.weight.shape[1],
                "out_features": one.weight.shape[0],
                "bias": one.bias is not None,
                "activation_function": f"torch.nn.modules.{part}.{one.activation}",
                "use_residual": one.residual is not None,
            },
        )
    longest = max(settings.query_length, settings.document_length)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": longest, "do_lower_case": lower})
    _write(
        folder / CONFIG,
        {
            "model_type": "ColBERT",
            "__version__": {},
            "prompts": {"late": settings.prompt} if settings.prompt else {},
            "default_prompt_name": "late" if settings.prompt else None,
            "similarity_fn_name": "MaxSim",
            "query_prefix": settings.query_prefix,
            "document_prefix": settings.document_prefix,
            "query_length": settings.query_length,
            "document_length": settings.document_length,
            "attend_to_expansion_tokens": settings.attend_to_expansion_tokens,
            "skiplist_words": list(settings.skiplist_words),
            "do_query_expansion": settings.do_query_expansion,
        },
    )
    kinds = [("", "sentence_transformers.models.Transformer")]
    kinds += [(f"{number}_Dense", "pylate.models.Dense.Dense") for number in range(1, len(dense) + 1)]
    _write(
        folder / MODULES,
        [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(kinds)],
    )


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, told: Any) -> None:
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _tensors(path: Path, names: Sequence[str] | None = None) -> Mapping[str, NDArray[np.float32]]:
    """Return a safetensors file's tensors, or some of them, in float32, whatever type they are of."""
    if not path.is_file():
        raise ModelError(f"{path}: is missing; only safetensors are read")
    torch = need("torch", "local")
    with need("safetensors", "local").safe_open(str(path), framework="pt") as held:
        wanted = list(held.keys()) if names is None else names
        return {name: held.get_tensor(name).to(torch.float32).numpy() for name in wanted}
