"""A model that is named on the command line rather than described in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pilotfish.assemble._build_classify import TREES
from pilotfish.assemble.check import checked
from pilotfish.assemble.specs import EncoderSpec, LocalSpec, OpenAISpec

__all__ = ["model_of"]


def model_of(spec: str) -> tuple[str, dict[str, Any]]:
    """Return (kind, table) for a model that is named on the command line rather than in a file.

    `openai:NAME` is an endpoint; anything else is weights: a catalog name, `hf:org/name`, a folder or a GGUF file. An
    encoder is told by the catalog, or by the `modules.json` of its folder.
    """
    if spec.startswith("openai:"):
        table = {"use": "openai", "model": spec.removeprefix("openai:")}
        checked(OpenAISpec, table, spec)
        return "openai", table
    folder = Path(spec)
    if (folder / "modules.json").is_file():
        return "encoder", {"use": "encoder", "weights": spec}
    if (folder / "classifier.json").is_file() or (folder / TREES).is_file():
        return "classifier", {"use": "classifier", "path": spec}
    from pilotfish.models.catalog import Catalog

    known = Catalog.load().entries
    kind = "encoder" if spec in known and known[spec].kind == "encoder" else "local"
    table = {"use": kind, "weights": spec}
    checked(EncoderSpec if kind == "encoder" else LocalSpec, table, spec)
    return kind, table
