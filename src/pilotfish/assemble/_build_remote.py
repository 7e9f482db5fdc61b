"""From a checked table to a model at an endpoint, asked one by one or in batches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._specs_remote import BatchSpec
from pilotfish.assemble.specs import OpenAISpec
from pilotfish.model import Price

if TYPE_CHECKING:
    from pilotfish.assemble._spec import PriceSpec
    from pilotfish.assemble._specs_remote import EndpointSpec

__all__ = ["build_remote", "price_of"]


def price_of(spec: PriceSpec | None) -> Price | None:
    """Return the price that a table gives."""
    return None if spec is None else Price(spec.input, spec.output)


def build_remote(name: str, spec: EndpointSpec, folder: Path) -> Any:
    """Return the model; `folder` is what relative paths start from."""
    settings = spec.model_dump(exclude={"use", "model", "base_url", "price", "cache", "folder"})
    settings |= {"price": price_of(spec.price), "name": name}
    base_url = spec.base_url or os.environ.get("OPENAI_BASE_URL")
    if base_url:
        settings["base_url"] = base_url
    if isinstance(spec, BatchSpec):
        from pilotfish.models.batch import BatchModel

        return BatchModel(spec.model, folder=None if spec.folder is None else folder / spec.folder, **settings)
    from pilotfish.models.remote import RemoteModel

    assert isinstance(spec, OpenAISpec)
    cache = folder / spec.cache if isinstance(spec.cache, str) else spec.cache
    return RemoteModel(spec.model, cache=cache, **settings)
