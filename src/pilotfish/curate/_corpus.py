"""Normalised texts in a file, to be looked up by their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from pilotfish.rows._sketch_file import Mapped
from pilotfish.rows._sketch_texts import Packed

__all__ = ["Corpus", "in_batches"]


class Corpus:
    """A file of texts in UTF-8, one after another; 8 bytes a text are in memory.

    Attributes:
        file: what is mapped of it, when all is written.
    """

    file: Mapped

    def __init__(self, path: Path) -> None:
        self._path = path
        self._out = path.open("wb")
        self._sizes: list[np.ndarray[tuple[int], np.dtype[np.uint32]]] = []

    def add(self, texts: Sequence[bytes]) -> None:
        """Write some more."""
        self._out.write(b"".join(texts))
        self._sizes.append(np.array([len(text) for text in texts], np.uint32))

    def read(self) -> Packed:
        """End the writing, and return all texts."""
        self._out.close()
        self.file = Mapped(self._path)
        starts = np.zeros(sum(map(len, self._sizes)) + 1, dtype=np.int64)
        at = 1
        while self._sizes:
            some = self._sizes.pop(0)
            starts[at : at + len(some)] = some
            at += len(some)
        np.cumsum(starts, out=starts)
        return Packed(self.file.array, starts)


def in_batches(texts: Iterable[str], most: int = 4096, characters: int = 1 << 23) -> Iterator[list[str]]:
    """Yield texts some at a time: no more than `most`, and no more characters than that unless one text alone has."""
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) == most or size + len(text) > characters):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch
