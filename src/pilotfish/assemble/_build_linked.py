"""From a table of `_specs_linked` to its model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._specs_linked import LinkedSpec
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.compete.entities import LinkedModel
    from pilotfish.models.catalog import Catalog

__all__ = ["build_linked"]


def build_linked(
    name: str, spec: LinkedSpec, part: Callable[[str], Any], catalog: Catalog, folder: Path
) -> LinkedModel:
    """Return the model that a table describes.

    Raises:
        ConfigError: both a linker and ways, a prompt that lacks a place, or a way that the base lacks.
        ModelError: no base or no linker in its folder.
    """
    from pilotfish.compete.entities import EntityBase, LinkedModel, Linker
    from pilotfish.retrieve import Encoders

    if spec.linker is not None and spec.ways is not None:
        raise ConfigError(f"[models.{name}]: the linker says which ways are asked: leave `ways` out")
    base = EntityBase.open(folder / spec.entities, Encoders(catalog=catalog))
    reader = None
    if spec.reader is not None:
        from pilotfish.retrieve.rerank import Cross, TaughtReranker
        from pilotfish.retrieve.rerank.taught import FILE

        here = folder / spec.reader
        taught = (here / FILE).is_file()
        weights = str(here) if here.is_dir() else spec.reader
        reader = TaughtReranker.load(here, catalog) if taught else Cross(weights, catalog=catalog)
    if spec.linker is not None:
        linker = Linker.load(folder / spec.linker, base, reader)
    else:
        linker = Linker(base, ways=spec.ways, reader=reader)
    given = spec.model_dump(include={"above", "shown", "prompt", "concurrency"}, exclude_none=True)
    return LinkedModel(linker, None if spec.large is None else part(spec.large), name=name, **given)
