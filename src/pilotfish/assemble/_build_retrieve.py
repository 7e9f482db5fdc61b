"""From the checked table of an index or a retriever to what it describes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble import _specs_retrieve as specs
from pilotfish.assemble._weights import weights_from
from pilotfish.assemble.build import encoder_named
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._retrieve import Retrieval
    from pilotfish.retrieve.found import Retriever
    from pilotfish.retrieve.index import Index

__all__ = ["BUILD", "opened"]


def opened(name: str, spec: specs.IndexSpec, models: Collaboration, *, new: bool) -> Index:
    """Return the index of a table; with `new` it is made where it is not there.

    Raises:
        ConfigError: no way is said of a new one; the one that is there was made otherwise.
        ModelError: it is not there.
    """
    from pilotfish.retrieve import Chunks, Encoders, Index

    folder = models.folder / spec.folder
    encoders = Encoders(catalog=models.catalog)
    if spec.dense is not None:
        encoders.dense = encoder_named(spec.dense.encoder, models)
    for way in (spec.sparse, spec.late):
        if way is not None:
            setattr(encoders, "sparse" if way is spec.sparse else "late", weights_from(way.encoder, models.folder))
    if not new:
        return Index.open(folder, encoders)
    ways = _ways(spec)
    if not ways:
        raise ConfigError(f"{models.where}: [indexes.{name}]: say how it is searched: bm25 = {{}}, dense = {{}} ...")
    cut = Chunks() if spec.chunk is None else Chunks(**spec.chunk.model_dump())
    return Index.create(folder, ways, chunks=cut, encoders=encoders)


def _ways(spec: specs.IndexSpec) -> dict[str, Any]:
    from pilotfish.retrieve.bm25 import Words
    from pilotfish.retrieve.dense import Vectors
    from pilotfish.retrieve.sparse import Lists

    found: dict[str, Any] = {}
    if spec.bm25 is not None:
        told = spec.bm25.model_dump()
        languages = {key: None if told[key] == "none" else told[key] for key in ("stemmer", "stop_words")}
        found["bm25"] = Words(**told | languages)
    if spec.dense is not None:
        found["dense"] = Vectors(**spec.dense.model_dump(exclude={"encoder"}))
    if spec.sparse is not None:
        found["sparse"] = Lists(spec.sparse.queries)
    if spec.late is not None:
        found["late"] = None
    return found


def _by_way(name: str, spec: specs.ByWaySpec, retrieval: Retrieval, models: Collaboration) -> Retriever:
    return retrieval.index(spec.index, models).retriever(spec.use).named(name)


def _hybrid(name: str, spec: specs.HybridSpec, retrieval: Retrieval, models: Collaboration) -> Retriever:
    from pilotfish.retrieve.hybrid import Hybrid

    parts = [retrieval.retriever(one, models) for one in spec.of]
    return Hybrid(parts, spec.fusion, spec.weights, spec.depth, spec.constant, name)


def _rerank(name: str, spec: specs.RerankSpec, retrieval: Retrieval, models: Collaboration) -> Retriever:
    from pilotfish.retrieve.rerank.reranked import Reranked

    return Reranked(retrieval.retriever(spec.of, models), _reader(name, spec, models), spec.depth, name)


def _reader(name: str, spec: specs.RerankSpec, models: Collaboration) -> Any:
    from pilotfish.retrieve.rerank import Asked, ByTokens, Cross, TaughtReranker
    from pilotfish.retrieve.rerank.asked import QUESTION
    from pilotfish.retrieve.rerank.taught import FILE

    if spec.model is not None:
        model: Any = models.model(spec.model)
        try:
            return Asked(model, spec.question or QUESTION, answers=spec.answers)
        except ConfigError as error:
            raise ConfigError(f"{models.where}: [retrievers.{name}]: {error}") from None
    if spec.late is not None:
        from pilotfish.retrieve.late import LateEncoder

        late = LateEncoder(weights_from(spec.late, models.folder), dtype=spec.dtype, catalog=models.catalog)
        return ByTokens(late)
    weights = weights_from(str(spec.cross), models.folder)
    if (Path(weights) / FILE).is_file():
        return TaughtReranker.load(weights, models.catalog)
    return Cross(weights, dtype=spec.dtype, catalog=models.catalog)


def _rewrite(name: str, spec: specs.RewriteSpec, retrieval: Retrieval, models: Collaboration) -> Retriever:
    from pilotfish.retrieve.rewrite import Rewritten

    settings = spec.model_dump(exclude={"use", "of", "model"})
    return Rewritten(retrieval.retriever(spec.of, models), models.model(spec.model), **settings, name=name)


# A kind's class -> what builds it, of its name, its table, the file's retrievers and the file.
BUILD: dict[type[specs.RetrieverSpec], Callable[..., Retriever]] = {
    specs.ByWaySpec: _by_way,
    specs.HybridSpec: _hybrid,
    specs.RerankSpec: _rerank,
    specs.RewriteSpec: _rewrite,
}
