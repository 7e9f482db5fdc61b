"""Late interaction as a way of an index: made of all rows together, so that its centroids are those of all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.retrieve._best import found_of
from pilotfish.retrieve.found import Found

__all__ = ["LateWay"]


class LateWay:
    """Rows of an index by the vectors of their tokens.

    Args:
        folder: of its files.
        encoder: a `LateEncoder`; the same one each time.
    """

    name = "late"
    patient = True

    def __init__(self, folder: Path, encoder: Any) -> None:
        self.folder, self.encoder = folder, encoder
        self._deleted: set[int] = set()
        self._late: Any = None
        if folder.is_dir() and any(entry.suffix == ".json" for entry in folder.iterdir()):
            from pilotfish.retrieve.late import Late, LateIndex

            self._late = Late(encoder, LateIndex(folder))

    @property
    def rows(self) -> int:
        """See `Way`."""
        return 0 if self._late is None else len(self._late.index)

    def add(self, texts: Iterable[str]) -> None:
        """See `Way`; the first call makes the index, and learns its centroids from what it is given."""
        if self._late is not None:
            self._late.add(texts)
            return
        from pilotfish.retrieve.late import Late

        self._late = Late.build(self.encoder, self.folder, texts)

    def delete(self, rows: Sequence[int]) -> None:
        """See `Way`."""
        self._deleted.update(map(int, rows))

    def settle(self) -> None:
        """Take deleted rows out, where any are still in."""
        if self._late is not None:
            alive = self._late.index.alive
            left = [row for row in sorted(self._deleted) if alive[row]]
            if left:
                self._late.delete(left)

    def rank(self, queries: Sequence[str], k: int) -> Found:
        """See `Ranker`."""
        if self._late is None:
            nothing = [np.zeros(0, np.int64) for _ in queries], [np.zeros(0, np.float32) for _ in queries]
            return found_of(*nothing, k)
        found: Found = self._late.rank(queries, k)
        return found
