"""From a table of `_specs_compress` to its compressor, and to its model."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._specs_compress import CompressedSpec, CompressorSpec
from pilotfish.assemble._weights import weights_from
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog
    from pilotfish.models.reader import Reader
    from pilotfish.prompt.compress import Compressing, Compressor, Count, Rank, Way

__all__ = ["build_compressed", "compressor_of", "count_of"]

LM, ENCODER = "smollm2-135m-instruct", "all-minilm-l6-v2"


def build_compressed(
    name: str, spec: CompressedSpec, part: Callable[[str], Any], catalog: Catalog, folder: Path
) -> Compressing:
    """Return the model that a table describes.

    Raises:
        ConfigError: nothing tells how the target counts, or a setting is out of range.
    """
    from pilotfish.prompt.compress import Compressing

    model = part(spec.model)
    count = count_of(f"[models.{name}]", spec.count, model, catalog, folder)
    given = spec.model_dump(include={"budget", "rate", "above"})
    return Compressing(model, compressor_of(spec, count, catalog, folder), parts=tuple(spec.parts), name=name, **given)


def count_of(where: str, named: str | None, model: Any, catalog: Catalog, folder: Path) -> Count:
    """Return how the target counts: what is named, or its own tokenizer where it is here.

    Raises:
        ConfigError: it is not here, and nothing is named.
    """
    from pilotfish.models.local import LocalModel
    from pilotfish.prompt.compress import CHARACTERS, WORDS, Count, counted_by

    if named in ("words", "characters"):
        return WORDS if named == "words" else CHARACTERS
    if named is not None:
        from pilotfish.models._weights import tokenizer_of

        weights = weights_from(named, folder)
        # The first text that is counted needs it, not the reading of the file.
        return Count(_lazily(lambda: counted_by(tokenizer_of(weights, catalog))))
    if isinstance(model, LocalModel):
        return Count(_lazily(lambda: counted_by(model.tokenizer)))
    raise ConfigError(
        f"{where}: {getattr(model, 'name', 'the target')} does not tell its tokenizer: give `count`, weights that have "
        'the same one, or "words" or "characters" to count by these'
    )


def _lazily(make: Callable[[], Count]) -> Callable[[str], int]:
    made = cache(make)

    def counted(text: str) -> int:
        return made()(text)

    return counted


def compressor_of(spec: CompressorSpec, count: Count, catalog: Catalog, folder: Path) -> Compressor:
    """Return the compressor that a table describes.

    Raises:
        ConfigError: a setting out of range.
        ModelError: no token classifier in the folder.
    """
    from pilotfish.prompt.compress import Compressor, Protect

    reads = _Readers(spec, catalog, folder)
    way = _way(spec, reads)
    given = spec.model_dump(include={"factor", "spread", "areas", "language"}, exclude_none=True)
    return Compressor(
        way,
        count,
        protect=Protect(tuple(spec.protect), tuple(spec.patterns), spec.protect_kept),
        rank=None if spec.rank is None or spec.by == "sentences" else reads.rank(spec.rank),
        **given,
    )


class _Readers:
    """The small models of a table, each once: what ranks and what scores may be one."""

    def __init__(self, spec: CompressorSpec, catalog: Catalog, folder: Path) -> None:
        self.spec, self.catalog, self.folder = spec, catalog, folder
        self._reader: Reader | None = None

    @property
    def how(self) -> dict[str, Any]:
        """Where and how exact they compute."""
        given = self.spec.model_dump(include={"dtype", "device"}, exclude_none=True)
        return {**given, "catalog": self.catalog}

    def weights(self, usual: str) -> str:
        """Return the table's weights."""
        named = self.spec.weights if self.spec.by in ("perplexity", "question") else None
        return weights_from(named or usual, self.folder)

    def reader(self) -> Reader:
        """Return the small language model."""
        from pilotfish.models.reader import Reader

        if self._reader is None:
            self._reader = Reader(self.weights(LM), **self.how)
        return self._reader

    def rank(self, kind: str) -> Rank:
        """Return what ranks sentences, paragraphs or documents."""
        from pilotfish.models.encoder import Encoder
        from pilotfish.prompt.compress import AnsweringDocuments, Mixed, RankByVectors, RankByWords, TellingDocuments

        if kind == "words":
            return RankByWords()
        if kind == "question":
            return AnsweringDocuments(self.reader())
        if kind == "perplexity":
            return TellingDocuments(self.reader())
        vectors = RankByVectors(Encoder(weights_from(self.spec.encoder or ENCODER, self.folder), **self.how))
        return vectors if kind == "vectors" else Mixed((RankByWords(), vectors))


def _way(spec: CompressorSpec, reads: _Readers) -> Way:
    from pilotfish.prompt.compress import Blend, ByPerplexity, ByQuestion, BySentences, ByTokens, TokenClassifier

    given = spec.model_dump(include={"segment", "context", "again"}, exclude_none=True)
    if spec.one_pass:
        given["segment"] = None
    if spec.by == "sentences":
        return BySentences(reads.rank(spec.rank or "words"), spec.near or 0.0, spec.language)
    way: Way
    if spec.by == "perplexity":
        return ByPerplexity(reads.reader(), **given)
    if spec.by == "question":
        way = ByQuestion(reads.reader(), plain=spec.plain or 0.0, **given)
    else:
        folder = reads.folder / str(spec.weights)
        way = ByTokens(TokenClassifier.load(folder, **reads.how))
    if spec.relevance:
        ranked = BySentences(reads.rank(spec.rank or "words"), language=spec.language)
        return Blend((way, ranked), (1.0, spec.relevance), name=way.name)
    return way
