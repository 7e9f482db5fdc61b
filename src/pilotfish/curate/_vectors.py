"""The vectors of rows' texts, by an encoder, into a file: read where they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pilotfish.curate.select._values import number
from pilotfish.rows._row import Row

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder

__all__ = ["Vectors"]

_BATCH = 512


class Vectors:
    """Unit vectors of the rows that have a text.

    Attributes:
        unit: (texts, dimension) of length one, in a file.
        scores: (texts,) a column's numbers, where one was asked for.
        there: (rows,) which rows have a text, and the number that was asked for.
    """

    def __init__(
        self, encoder: Encoder, rows: Iterator[Row], columns: Sequence[str], path: Path, score: str | None = None
    ) -> None:
        there: list[bool] = []
        scores: list[float] = []
        waiting: list[str] = []
        with path.open("wb") as file:

            def write() -> None:
                found = encoder.encode(waiting)
                lengths = np.linalg.norm(found, axis=1, keepdims=True)
                file.write((found / np.maximum(lengths, 1e-12)).astype(np.float32).tobytes())
                waiting.clear()

            for row in rows:
                parts = [row[column] for column in columns if isinstance(row.get(column), str)]
                value = number(row.get(score)) if score is not None else 0.0
                there.append(any(part.strip() for part in parts) and value is not None)
                if there[-1]:
                    waiting.append("\n".join(parts))
                    scores.append(value or 0.0)
                    if len(waiting) == _BATCH:
                        write()
            if waiting:
                write()
        shape = (sum(there), encoder.dimension)
        self.unit: NDArray[np.float32] = np.zeros((0, 1), np.float32)
        if shape[0]:
            self.unit = np.memmap(path, np.float32, mode="r", shape=shape)
        self.scores: NDArray[np.float64] | None = None if score is None else np.array(scores)
        self.there: NDArray[np.bool_] = np.array(there, dtype=bool)
