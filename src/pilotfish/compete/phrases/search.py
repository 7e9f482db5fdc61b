"""Phrases that are looked up by their meaning: an index of vectors whose documents are phrases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pilotfish.compete.phrases.pair import normal
from pilotfish.retrieve import Document, Encoders, Index
from pilotfish.retrieve.dense import Encodes, Vectors

__all__ = ["phrase_index"]


def phrase_index(
    folder: str | Path,
    phrases: Iterable[str],
    encoder: Encodes,
    how: Vectors | None = None,
    *,
    progress: bool = False,
) -> Index:
    """Return an index of phrases; `index.retriever("dense").search(queries, k)` finds the nearest, whole.

    Those that are there already are not read again, so that a call with further phrases adds them; `index.delete` takes
    some out.

    Args:
        folder: for its files.
        phrases: each once, whatever its case; its id is the phrase in lower case.
        encoder: makes the vectors, the same one each time: an `Encoder`, one that was taught, or `WithCharacters`.
        how: vectors are kept and compared.
        progress: show a bar.

    Raises:
        ConfigError: the folder holds an index that was made otherwise, or another process writes there.
        DataError: the folder holds other things, or the disk is full.
    """
    settings: Any = how or Vectors()
    index = Index.create(folder, {"dense": settings}, encoders=Encoders(dense=encoder))
    index.add(_documents(phrases), progress=progress)
    return index


def _documents(phrases: Iterable[str]) -> Iterator[Document]:
    seen: set[str] = set()
    for phrase in phrases:
        name = normal(phrase)
        if name and name not in seen:
            seen.add(name)
            yield Document(name, " ".join(phrase.split()))
