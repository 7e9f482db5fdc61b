"""Late interaction as a way to find rows: an encoder, and an index of its vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pilotfish.errors import ConfigError
from pilotfish.retrieve.late.index import LateIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pilotfish.retrieve.found import Found
    from pilotfish.retrieve.late.encoder import LateEncoder

__all__ = ["Late"]

_TOGETHER = 4096  # texts that are sorted by length together


class Late:
    """Finds the rows whose tokens match a query's best; a `Ranker`.

    Args:
        encoder: of queries and documents.
        index: of its vectors.
        name: in reports.
        n_probe, candidates, threshold: how thorough, as for `LateIndex.search`.

    Raises:
        ConfigError: the index holds another encoder's vectors.
    """

    def __init__(
        self,
        encoder: LateEncoder,
        index: LateIndex,
        *,
        name: str = "late",
        n_probe: int = 8,
        candidates: int | None = None,
        threshold: float = 0.0,
    ) -> None:
        if index.note != encoder.identity:
            raise ConfigError(f"{index.folder}: its vectors are another encoder's than {encoder.name}'s; build it anew")
        self.encoder, self.index, self._name = encoder, index, name
        self.n_probe, self.candidates, self.threshold = n_probe, candidates, threshold

    @classmethod
    def build(
        cls,
        encoder: LateEncoder,
        folder: str | Path,
        texts: Iterable[str],
        *,
        bits: int = 4,
        seed: int = 0,
        threads: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Late:
        """Encode texts as they come and make an index of them.

        Args:
            encoder: of the texts.
            folder: of the index.
            texts: one a row.
            bits: for each coordinate of a residual: 1, 2 or 4.
            seed: of the centroids' sample.
            threads: that searches use.
            progress: called with the number of texts that each pass finishes.

        Raises:
            ConfigError: another process writes there.
            DataError: no text at all, a disk that is full.
        """
        vectors = _vectors(encoder, texts, progress)
        index = LateIndex.build(folder, vectors, bits=bits, seed=seed, note=encoder.identity, threads=threads)
        return cls(encoder, index)

    @property
    def name(self) -> str:
        """The name that reports show."""
        return self._name

    def rank(self, queries: Sequence[str], k: int, *, alive: NDArray[np.bool_] | None = None) -> Found:
        """Return the best k rows of each query, or all where there are fewer; never a deleted one, or one not alive."""
        return self.index.search(
            self.encoder.queries(queries),
            k,
            alive=alive,
            n_probe=self.n_probe,
            candidates=self.candidates,
            threshold=self.threshold,
        )

    def add(self, texts: Iterable[str], *, progress: Callable[[int], None] | None = None) -> range:
        """Append texts and return their rows."""
        return self.index.add(_vectors(self.encoder, texts, progress))

    def delete(self, rows: Iterable[int]) -> int:
        """Take rows out, and return how many were there."""
        return self.index.delete(rows)


def _vectors(
    encoder: LateEncoder, texts: Iterable[str], progress: Callable[[int], None] | None
) -> Iterator[NDArray[np.float32]]:
    left = iter(texts)
    while some := list(islice(left, _TOGETHER)):
        yield from encoder.documents(some, progress=progress)
