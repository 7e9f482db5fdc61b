"""From a table of `_specs_rag` to its model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._build_knowledge import supports_of
from pilotfish.assemble._specs_compress import CompressorSpec
from pilotfish.assemble._specs_rag import EnoughSpec, RetrieveSpec, WhetherSpec

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog
    from pilotfish.retrieve.found import Retriever
    from pilotfish.retrieve.rag import EnoughByChoice, EnoughByScore, Label, Retrieving, Shorten, Sure

__all__ = ["build_rag"]


def build_rag(
    name: str,
    spec: RetrieveSpec,
    part: Callable[[str], Any],
    retriever: Callable[[str], Retriever],
    catalog: Catalog,
    folder: Path,
) -> Retrieving:
    """Return the model that a table describes.

    Raises:
        ConfigError: a prompt that lacks a place, or a retriever that does not fit its index.
        ModelError: its index is not there.
    """
    from pilotfish.retrieve.rag import Retrieving

    model = part(spec.model)
    given = spec.model_dump(include={"k", "budget", "cite", "least", "order", "otherwise", "prompt"}, exclude_none=True)
    return Retrieving(
        retriever(spec.retriever),
        model,
        whether=None if spec.whether is None else _whether(name, spec.whether, model, part, catalog, folder),
        enough=None if spec.enough is None else _enough(spec.enough, part),
        condense=None if spec.condense is None else part(spec.condense),
        shorten=None if spec.compress is None else _shorten(name, spec.compress, model, catalog, folder),
        supports=None if spec.nli is None else supports_of(spec.nli, catalog, folder),
        name=name,
        **given,
    )


def _shorten(name: str, spec: CompressorSpec, model: Any, catalog: Catalog, folder: Path) -> Shorten:
    from pilotfish.assemble._build_compress import compressor_of, count_of
    from pilotfish.models.counting import counter
    from pilotfish.prompt.compress import Count, Passages

    # The budget of passages is counted by the model's own tokenizer, or guessed of an endpoint: shorter ones alike.
    count = Count(counter(model))
    if spec.count is not None:
        count = count_of(f"[models.{name}] compress", spec.count, model, catalog, folder)
    return Passages(compressor_of(spec, count, catalog, folder), name)


def _whether(
    name: str, spec: WhetherSpec, model: Any, part: Callable[[str], Any], catalog: Catalog, folder: Path
) -> Label | Sure:
    from pilotfish.retrieve.rag import Label, Sure

    if spec.by == "label":
        given = spec.model_dump(include={"label", "above"}, exclude_none=True)
        return Label(part(str(spec.classifier)), **given)
    from pilotfish.assemble._build_cascade import accept_of

    assert spec.accept is not None
    first = model if spec.model is None else part(spec.model)
    return Sure(first, accept_of(name, spec.accept, first, part, catalog, folder))


def _enough(spec: EnoughSpec, part: Callable[[str], Any]) -> EnoughByScore | EnoughByChoice:
    from pilotfish.retrieve.rag import EnoughByChoice, EnoughByScore

    given = spec.settings()
    return EnoughByScore(**given) if spec.by == "score" else EnoughByChoice(part(given.pop("judge")), **given)
