"""Reading a cache: a teacher's next-token distributions by example, off the disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from pilotfish.distill.cache._codec import Codec
from pilotfish.distill.cache._manifest import Manifest
from pilotfish.distill.cache._shard import Shard, numbers
from pilotfish.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TopKCache"]


class TopKCache:
    """What `capture` wrote, as it stands now; examples added later are not seen. Any number of processes may read.

    Args:
        folder: of the cache.

    Attributes:
        folder: where it is.
        manifest: the teacher, its vocabulary, k, bits and temperature.
        tokens: positions it has distributions for.

    Raises:
        DataError: there is no cache.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.manifest = Manifest.read(self.folder)
        self._codec = Codec(self.manifest.vocabulary, self.manifest.k, self.manifest.bits)
        self._shards: dict[int, tuple[Shard, int]] = {}
        self._maps: dict[int, NDArray[np.uint8]] = {}
        self._places: dict[bytes, tuple[int, int, int, int]] = {}
        for number in numbers(self.folder):
            shard = Shard(self.folder, number, self._codec.record)
            entries = shard.entries()
            self._shards[number] = (shard, int(entries["count"].sum(dtype=np.int64)))
            for key, start, count, checksum, _ in entries.tolist():
                self._places[key] = (number, start, count, checksum)
        self.tokens = sum(records for _, records in self._shards.values())

    def __reduce__(self) -> tuple[Any, ...]:
        # To another process go the folder's name and no gigabytes.
        return (TopKCache, (self.folder,))

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return bytes.fromhex(key) in self._places

    @property
    def record_bytes(self) -> int:
        """Bytes of one position's record."""
        return self._codec.record

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Return the keys that are not there; none means that the teacher need not be loaded."""
        return [key for key in keys if key not in self]

    def count(self, key: str) -> int:
        """Return how many positions of an example are there.

        Raises:
            DataError: none of this example is.
        """
        return self._place(key)[2]

    def get(self, key: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the k likeliest tokens at an example's positions in the loss, and their log-probabilities.

        Returns:
            ids (n, k), rising in a row; natural-log probabilities (n, k), whose sum leaves the tail its mass.

        Raises:
            DataError: the example is not there, or its records are damaged.
        """
        return self.batch([key])

    def batch(self, keys: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return `get` of several examples, one after the other: (all positions, k) each.

        Raises:
            DataError: an example is not there, or its records are damaged.
        """
        if not keys:
            return self._codec.decode(np.zeros((0, self._codec.record), np.uint8))
        return self._codec.decode(np.concatenate([self._records(key) for key in keys]))

    def _place(self, key: str) -> tuple[int, int, int, int]:
        found = self._places.get(bytes.fromhex(key))
        if found is None:
            raise DataError(
                f"{self.folder}: nothing of example {key[:12]}… of the teacher {self.manifest.teacher!r}; "
                "run `capture` over the same examples (the same tokens, the same positions in the loss)"
            )
        return found

    def _records(self, key: str) -> NDArray[np.uint8]:
        number, start, count, checksum = self._place(key)
        if not count:
            return np.zeros((0, self._codec.record), np.uint8)
        if number not in self._maps:
            shard, records = self._shards[number]
            try:
                self._maps[number] = shard.mapped(records)
            except (OSError, ValueError) as error:
                raise DataError(f"{shard.data}: cannot be read: {error}") from None
        found = np.asarray(self._maps[number][start : start + count])
        if crc32(found.data) != checksum:
            raise DataError(f"{self._shards[number][0].data}: is damaged; remove {self.folder} and capture again")
        return found
