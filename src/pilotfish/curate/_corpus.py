"""Texts in a file, one at a time in memory, to be looked up by their numbers."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["Corpus", "Some"]

Ints = NDArray[np.int64]


class Corpus:
    """A file of texts.

    Attributes:
        starts: (texts + 1,) where each begins and the last ends, in bytes; there when all are written.
        lengths: (texts,) characters of each.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = path.open("wb")
        self._sizes: list[NDArray[np.uint32]] = []

    def add(self, texts: Sequence[str]) -> None:
        """Write some more."""
        data = [text.encode("utf-8", "surrogatepass") for text in texts]
        self._file.write(b"".join(data))
        self._sizes.append(np.array([[len(one), len(text)] for one, text in zip(data, texts, strict=True)], np.uint32))

    def __enter__(self) -> Corpus:
        """End the writing, and open for reading."""
        self._file.close()
        sizes = np.concatenate([np.empty((0, 2), np.uint32), *self._sizes])
        self.starts: Ints = np.concatenate([[0], np.cumsum(sizes[:, 0], dtype=np.int64)])
        self.lengths: NDArray[np.uint32] = sizes[:, 1]
        self._file = self._path.open("rb")
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) if self.starts[-1] else b""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if isinstance(self._map, mmap.mmap):
            self._map.close()
        self._file.close()

    def __getitem__(self, place: int) -> str:
        return self._map[self.starts[place] : self.starts[place + 1]].decode("utf-8", "surrogatepass")


class Some(Sequence[str]):
    """Some texts of a corpus, numbered from 0.

    To go through them gives stand-ins that have a text's length and nothing else: whoever compares pairs looks at all
    lengths, and reads the texts of the pairs alone.
    """

    def __init__(self, corpus: Corpus, places: Ints) -> None:
        self._corpus, self._places = corpus, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: Any) -> Any:
        return self._corpus[int(self._places[place])]

    def __iter__(self) -> Iterator[str]:
        return cast("Iterator[str]", map(range, self._corpus.lengths[self._places].tolist()))
