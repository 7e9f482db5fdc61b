"""A graph of near vectors (HNSW), by usearch, beside the vectors themselves, from which it can be made anew."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ConfigError
from pilotfish.rows._atomic import atomic

__all__ = ["Graph", "Walk"]

STATE = "state.json"
_STEP = 8192


@dataclass(frozen=True)
class Walk:
    """How a graph is made and walked (Malkov and Yashunin 2018, section 4).

    Args:
        neighbours: links of a vector in a layer (M).
        when_added: vectors that are looked at to find a new one's neighbours (efConstruction).
        when_searched: vectors that are looked at for a query (ef), and four times as many as are asked for at least.
        dtype: of the copies that the graph compares; what it finds is scored by the vectors themselves.

    Raises:
        ConfigError: a number below 1.
    """

    neighbours: int = 16
    when_added: int = 128
    when_searched: int = 64
    dtype: Literal["f32", "f16", "bf16", "i8"] = "f16"

    def __post_init__(self) -> None:
        if min(self.neighbours, self.when_added, self.when_searched) < 1:
            raise ConfigError("neighbours, when_added and when_searched of a graph are 1 or more")


class Graph:
    """The graph of an index's vectors.

    Args:
        folder: of its files.
        dimension: of the vectors.
        how: how it is made and walked.
    """

    def __init__(self, folder: Path, dimension: int, how: Walk) -> None:
        self.folder, self.how = folder, how
        self._index: Any = need("usearch.index", "retrieve").Index(
            ndim=dimension,
            metric="ip",
            dtype=how.dtype,
            connectivity=how.neighbours,
            expansion_add=how.when_added,
            expansion_search=how.when_searched,
        )
        self.rows = 0
        path = folder / STATE
        if path.is_file():
            told = json.loads(path.read_bytes())
            self.rows = int(told["rows"])
            self._index.load(str(folder / told["file"]))
            self._index.expansion_search = how.when_searched

    def follow(self, vectors: NDArray[Any], gone: NDArray[np.bool_]) -> None:
        """Take in the vectors that are not there yet, and take out those that are gone; then keep the graph."""
        held = np.zeros(self.rows, bool)
        if len(self._index):
            held[np.asarray(self._index.keys, np.int64)] = True
        out = np.flatnonzero(held & gone[: self.rows])
        new = self.rows + np.flatnonzero(~gone[self.rows :])
        if not len(out) and self.rows == len(vectors):
            return
        if len(out):
            self._index.remove(out.astype(np.uint64))
        for start in range(0, len(new), _STEP):
            some = new[start : start + _STEP]
            self._index.add(some.astype(np.uint64), np.asarray(vectors[some], np.float32))
        self.rows = len(vectors)
        self._keep()

    def _keep(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        before = {path.name for path in self.folder.glob("*.usearch")}
        numbers = [int(name.partition(".")[0]) for name in before]
        name = f"{max(numbers, default=0) + 1}.usearch"
        self._index.save(str(self.folder / name))
        with (self.folder / name).open("rb") as file:
            os.fsync(file.fileno())
        with atomic(self.folder / STATE) as file:
            file.write(json.dumps({"rows": self.rows, "file": name}).encode())
        for other in before:
            (self.folder / other).unlink(missing_ok=True)

    def near(self, vectors: NDArray[np.float32], k: int) -> list[NDArray[np.int64]]:
        """Return rows near each of some vectors (queries, dimension), about four times as many as k, in no order."""
        count = min(len(self._index), max(4 * k, self.how.when_searched))
        if not count:
            return [np.zeros(0, np.int64) for _ in vectors]
        self._index.expansion_search = count
        # Of one row the library gives another kind of answer: two it is, always.
        told = self._index.search(np.concatenate([vectors, vectors[:1]]), count)
        return [
            np.asarray(keys[:size], np.int64)
            for keys, size in zip(told.keys[:-1], told.counts[: len(vectors)], strict=True)
        ]
