"""What a regressor sees of a row: vectors of its texts beside and against each other, and numbers of other metrics.

Source: Rei et al. 2020 (COMET), section 2.3, after Shimanaka et al. 2018 (RUSE): of the judged text h and each text o
that it is judged by, h, o, h * o and |h - o|.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import DataError
from pilotfish.rows._row import need_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.encoder import Encoder

__all__ = ["combined", "combined_width", "numbers_of", "texts_of", "vectors_of"]


def combined(vectors: Any, join: Any) -> Any:
    """Return (rows, features) of (rows, texts, width) vectors, the judged text's last.

    Args:
        vectors: an array of NumPy's or a tensor.
        join: what puts a list of (rows, width) side by side.
    """
    judged = vectors[:, -1]
    parts = [judged]
    for place in range(vectors.shape[1] - 1):
        other = vectors[:, place]
        parts += [other, judged * other, abs(judged - other)]
    return join(parts)


def combined_width(texts: int, width: int) -> int:
    """Return how many features `combined` gives."""
    return width * (1 + 3 * (texts - 1)) if texts else 0


def vectors_of(encoder: Encoder, texts: Sequence[tuple[str, ...]]) -> NDArray[np.float64]:
    """Return (rows, texts, width); equal texts are read once."""
    distinct = list(dict.fromkeys(text for row in texts for text in row))
    place = {text: number for number, text in enumerate(distinct)}
    vectors = encoder.encode(distinct).astype(np.float64)
    return vectors[np.array([[place[text] for text in row] for row in texts], np.int64)]


def texts_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Return each row's texts.

    Raises:
        DataError: a row lacks one, or it is no text.
    """
    for number, row in enumerate(rows, 1):
        need_columns(row, *columns, source=f"row {number}")
        for column in columns:
            if not isinstance(row[column], str):
                raise DataError(f"row {number}: column {column!r} must be a text, not {type(row[column]).__name__}")
    return [tuple(row[column] for column in columns) for row in rows]


def numbers_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> NDArray[np.float64]:
    """Return (rows, columns) numbers.

    Raises:
        DataError: a row lacks one, or it is no finite number.
    """
    found = np.zeros((len(rows), len(columns)))
    for number, row in enumerate(rows):
        need_columns(row, *columns, source=f"row {number + 1}")
        for place, column in enumerate(columns):
            value = row[column]
            if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
                raise DataError(f"row {number + 1}: column {column!r} must be a finite number, not {value!r}")
            found[number, place] = value
    return found
