"""Vectors that wait on the disk, in half precision, until all of them are there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import numpy as np

from pilotfish.errors import DataError
from pilotfish.rows._atomic import cannot_write

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Spool"]


class Spool:
    """A file of documents' vectors; it goes when the block ends.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.tokens, self.dimension = path, 0, 0
        self._lengths: list[int] = []

    def __enter__(self) -> Self:
        try:
            self._file: IO[bytes] = self.path.open("wb", buffering=1 << 20)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # a disk that is full was told of already
            self._file.close()
        self.path.unlink(missing_ok=True)

    def put(self, document: NDArray[np.floating]) -> None:
        """Take in a document, (tokens, d).

        Raises:
            DataError: another dimension than the first's, or the disk is full.
        """
        half = np.ascontiguousarray(document, np.float16)
        if half.ndim != 2 or (self._lengths and half.shape[1] != self.dimension):
            number = len(self._lengths)
            raise DataError(f"document {number}: its vectors are (tokens, {self.dimension or 'd'}), not {half.shape}")
        self.dimension = half.shape[1]
        try:
            self._file.write(half.data)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self._lengths.append(len(half))
        self.tokens += len(half)

    def _all(self) -> NDArray[np.float16]:
        try:
            self._file.flush()
        except OSError as error:
            raise cannot_write(self.path, error) from error
        if not self.tokens:
            raise DataError("there is no token to index")
        return np.memmap(self.path, np.float16, "r", shape=(self.tokens, self.dimension))

    def sample(self, most: int, seed: int) -> NDArray[np.float32]:
        """Return some of the vectors, chosen by a seed: (vectors, d).

        Raises:
            DataError: there is none.
        """
        whole = self._all()
        if len(whole) > most:
            rows = np.sort(np.random.default_rng(seed).choice(len(whole), most, replace=False))
            whole = whole[rows]
        return np.asarray(whole, np.float32)

    def documents(self) -> Iterator[NDArray[np.float16]]:
        """Yield the documents in their order."""
        whole = self._all()
        at = 0
        for length in self._lengths:
            yield whole[at : at + length]
            at += length
