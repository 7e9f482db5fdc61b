"""What `[indexes.NAME]` and `[retrievers.NAME]` tables may say.

[indexes.docs]
folder = "index"

[retrievers.words]
use = "bm25"
index = "docs"

[retrievers.both]
use = "hybrid"
of = ["words", "meaning"]

A kind of retriever is a class here, with its word in `RETRIEVERS`, and a function in `_build_retrieve`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Count, From0, Ref, Share, Spec, Text

__all__ = [
    "RETRIEVERS",
    "ByWaySpec",
    "ChunkSpec",
    "HybridSpec",
    "IndexSpec",
    "RerankSpec",
    "RetrieverSpec",
    "RewriteSpec",
]

WayName = Literal["bm25", "dense", "sparse", "late"]


class ChunkSpec(Spec):
    """How documents are cut."""

    unit: Literal["sentences", "tokens", "words", "characters"]
    size: Count
    overlap: Annotated[int, Field(ge=0)] = 0
    language: Text = "en"

    @model_validator(mode="after")
    def _goes_on(self) -> ChunkSpec:
        if self.overlap >= self.size:
            raise ValueError(f"overlap ({self.overlap}) is to be less than size ({self.size})")
        return self


class WordsSpec(Spec):
    """BM25: its variant and numbers; `stemmer` and `stop_words` are languages, or "none"."""

    method: Literal["lucene", "robertson", "atire", "bm25l", "bm25+"] = "lucene"
    k1: From0 = 1.5
    b: Share = 0.75
    delta: From0 = 0.5
    stemmer: Text = "english"
    stop_words: Text = "english"


class DenseSpec(Spec):
    """Vectors: `encoder` is an encoder of the file or weights of one."""

    encoder: Text = "all-minilm-l6-v2"
    dtype: Literal["float32", "float16"] = "float32"
    search: Literal["exact", "graph"] = "exact"
    cosine: bool = True
    query_prefix: str = ""
    passage_prefix: str = ""


class SparseSpec(Spec):
    """Learnt words: `encoder` is weights of a SPLADE-like model; `queries` by it, or by how rare words are."""

    encoder: Text
    queries: Literal["model", "idf"] = "model"


class LateSpec(Spec):
    """Late interaction: `encoder` is weights of such a model, or of an encoder."""

    encoder: Text


class IndexSpec(Spec):
    """An index: its folder; and, where it is to be made of this file, its ways and its documents."""

    folder: Text
    documents: str | None = None
    text: Text = "text"
    title: Text = "title"
    id: Text = "id"
    chunk: ChunkSpec | None = None
    bm25: WordsSpec | None = None
    dense: DenseSpec | None = None
    sparse: SparseSpec | None = None
    late: LateSpec | None = None


class RetrieverSpec(Spec):
    """Every retriever."""

    use: str

    @property
    def retrievers(self) -> list[tuple[str, str]]:
        """(key, name) of each other retriever that it names."""
        return []


class ByWaySpec(RetrieverSpec):
    """One way of an index."""

    use: WayName
    index: Text


class HybridSpec(RetrieverSpec):
    """Several retrievers, joined by their ranks or scores."""

    use: Literal["hybrid"]
    of: Annotated[list[str], Field(min_length=2)]
    fusion: Literal["rrf", "min-max", "z-score"] = "rrf"
    weights: list[From0] | None = None
    depth: Count = 100
    constant: From0 = 60.0

    @property
    def retrievers(self) -> list[tuple[str, str]]:
        """See `RetrieverSpec`."""
        return [(f"of.{place}", name) for place, name in enumerate(self.of)]

    @model_validator(mode="after")
    def _weighs_each(self) -> HybridSpec:
        if self.weights is not None and len(self.weights) != len(self.of):
            raise ValueError(f"weights: {len(self.weights)} for {len(self.of)} retrievers")
        return self


class RerankSpec(RetrieverSpec):
    """A retriever whose finds are read again: by a cross-encoder, a language model, or by late interaction.

    `cross` is weights of a cross-encoder, or a folder that `TaughtReranker` saved; `model` is a local model of the
    file; `late` is weights of a late-interaction model. One of them.
    """

    use: Literal["rerank"]
    of: Text
    cross: Text | None = None
    model: Ref | None = None
    late: Text | None = None
    depth: Count = 50
    question: Text | None = None
    answers: tuple[Text, Text] = ("yes", "no")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "float32"

    @property
    def retrievers(self) -> list[tuple[str, str]]:
        """See `RetrieverSpec`."""
        return [("of", self.of)]

    @model_validator(mode="after")
    def _has_one_reader(self) -> RerankSpec:
        if sum(one is not None for one in (self.cross, self.model, self.late)) != 1:
            raise ValueError("who reads again: one of `cross`, `model` and `late`")
        if self.question is not None and ("{query}" not in self.question or "{passage}" not in self.question):
            raise ValueError("the question needs the places {query} and {passage}")
        return self


class RewriteSpec(RetrieverSpec):
    """A retriever that is asked in a model's words, too."""

    use: Literal["rewrite"]
    of: Text
    model: Ref
    way: Literal["multi-query", "hyde", "step-back", "keywords"] = "multi-query"
    n: Count = 3
    keep: bool = True
    prompt: Text | None = None
    max_tokens: Count = 128
    temperature: From0 | None = None
    depth: Count = 100
    concurrency: Count = 8

    @property
    def retrievers(self) -> list[tuple[str, str]]:
        """See `RetrieverSpec`."""
        return [("of", self.of)]

    @model_validator(mode="after")
    def _has_the_place(self) -> RewriteSpec:
        if self.prompt is not None and "{query}" not in self.prompt:
            raise ValueError("the prompt needs the place {query}")
        return self


RETRIEVERS: dict[str, type[RetrieverSpec]] = {
    **dict.fromkeys(("bm25", "dense", "sparse", "late"), ByWaySpec),
    "hybrid": HybridSpec,
    "rerank": RerankSpec,
    "rewrite": RewriteSpec,
}
