"""What a reader makes of whole documents: losses, long documents by windows that overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.reader import Reader

__all__ = ["Reading", "document_losses", "reader_of", "windows"]


def windows(ids: Sequence[int], start: int, length: int, stride: int) -> Iterator[tuple[Sequence[int], int]]:
    """Yield pieces of a row, (ids, start), that score each token from `start` on once.

    Each piece after the first has `length - stride` tokens before those that it scores.

    Args:
        ids: the row.
        start: the first token that is scored, 1 or more.
        length: of a piece, at most.
        stride: tokens that a further piece scores, less than the length.
    """
    yield ids[:length], min(start, len(ids))
    at = length
    while at < len(ids):
        before = min(at, length - stride)
        piece = ids[at - before : at - before + length]
        yield piece, min(before + max(0, start - at), len(piece))
        at += stride


class Reading:
    """A reader, and how long documents are read.

    Args:
        reader: or weights: a catalog name, `hf:org/name`, a folder or a GGUF file.
        dtype: see `Reader`; not for a reader that is there already.
        length: tokens a window; None for as many as the model takes.
        stride: tokens that a further window scores; None for half the window.
        most_tokens: of a document that are looked at, from its beginning; None for all.

    Raises:
        ConfigError: a setting is out of range.
    """

    def __init__(
        self,
        reader: Reader | str | Path,
        *,
        dtype: str = "auto",
        length: int | None = None,
        stride: int | None = None,
        most_tokens: int | None = None,
    ) -> None:
        for name, value in (("length", length), ("stride", stride), ("most_tokens", most_tokens)):
            if value is not None and value < 2:
                raise ConfigError(f"{name} is 2 tokens or more, not {value}")
        if length is not None and stride is not None and stride >= length:
            raise ConfigError(f"windows of {length} tokens with a stride of {stride} would have nothing before them")
        self.reader = reader_of(reader, dtype)
        self.length, self.stride, self.most_tokens = length, stride, most_tokens

    def config(self) -> dict[str, object]:
        """Return what decides the losses, as plain data."""
        told: dict[str, object] = {"weights": self.reader.identity}
        sizes = {"length": self.length, "stride": self.stride, "most_tokens": self.most_tokens}
        return told | {name: value for name, value in sizes.items() if value is not None}

    def losses(self, rows: Sequence[tuple[Sequence[int], int]]) -> list[NDArray[np.float32]]:
        """Return −log p, in nats, of each row's tokens from its start on; rows may be longer than the model takes.

        Raises:
            DataError: the window is longer than the model takes.
        """
        most = self.reader.max_length
        length = most if self.length is None else self.length
        if length > most:
            raise DataError(f"windows of {length} tokens: {self.reader.name} takes {most}")
        stride = max(1, length // 2) if self.stride is None else self.stride
        pieces: list[tuple[Sequence[int], int]] = []
        counts = []
        for ids, start in rows:
            found = list(windows(ids, start, length, stride))
            pieces += found
            counts.append(len(found))
        logprobs = iter(self.reader.logprobs(pieces))
        return [-np.concatenate([next(logprobs) for _ in range(count)]) for count in counts]


def document_losses(reading: Reading, texts: Sequence[str]) -> list[NDArray[np.float32]]:
    """Return −log p, in nats, of each text's tokens, the first one after the model's own beginning."""
    rows = [reading.reader.ids(text) for text in texts]
    if reading.most_tokens is not None:
        rows = [ids[: reading.most_tokens + 1] for ids in rows]
    return reading.losses([(ids, 1) for ids in rows])


def reader_of(reader: Reader | str | Path, dtype: str = "auto") -> Reader:
    """Return the reader of weights, or the reader itself."""
    from pilotfish.models.reader import Reader

    return reader if isinstance(reader, Reader) else Reader(reader, dtype=dtype)
