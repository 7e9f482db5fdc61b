"""Adding a teacher's distributions to a cache folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.distill.cache._codec import Codec
from pilotfish.distill.cache._manifest import NAME, Manifest
from pilotfish.distill.cache._shard import Shard, numbers
from pilotfish.errors import DataError
from pilotfish.rows._lock import locked

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Writer"]

SHARD_BYTES = 1 << 30


class Writer:
    """Appends examples to a cache, one process at a time; use it in a `with` block.

    What `add` was given is on the disk when it returns, and an interrupted one left nothing that is read.

    Args:
        folder: made where it is not there.
        manifest: what will be added; a folder that holds something else is refused on entry.

    Raises:
        ConfigError: on entry: another process is writing here.
        DataError: on entry: the folder holds the cache of another teacher, or other files; or cannot be written.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.codec = Codec(manifest.vocabulary, manifest.k, manifest.bits)
        self._keys: set[str] = set()
        self._records = 0  # in the last shard
        self._open = ExitStack()

    def __enter__(self) -> Writer:
        with ExitStack() as stack:
            stack.enter_context(locked(self.folder))
            if (self.folder / NAME).exists():
                Manifest.read(self.folder).check(self.folder, self.manifest)
            else:
                others = sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))
                if others:
                    raise DataError(f"{self.folder}: holds {others[0]} and is no cache; choose another folder")
                self.manifest.write(self.folder)
            for number in numbers(self.folder) or [0]:
                self._shard = Shard(self.folder, number, self.codec.record)
                entries = self._shard.trim()
                self._keys.update(key.hex() for key in entries["key"].tolist())
                self._records = int(entries["count"].sum(dtype=np.int64))
            self._open = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, examples: Sequence[tuple[str, NDArray[np.int64], NDArray[np.float32]]]) -> None:
        """Add examples: (key, ids (n, k), log-probabilities (n, k)), n the example's positions in the loss.

        An example that is there already is left as it is.

        Raises:
            DataError: these are no such arrays, or the disk is full or refuses.
        """
        new = {key: (ids, logprobs) for key, ids, logprobs in examples if key not in self._keys}
        if not new:
            return
        records = self.codec.encode(
            np.concatenate([ids for ids, _ in new.values()]), np.concatenate([logs for _, logs in new.values()])
        )
        ends = np.cumsum([len(ids) for ids, _ in new.values()])
        if self._records * self.codec.record >= SHARD_BYTES:
            self._shard = Shard(self.folder, self._shard.number + 1, self.codec.record)
            self._shard.trim()
            self._records = 0
        pieces = np.split(records, ends[:-1])
        keys = [bytes.fromhex(key) for key in new]
        self._shard.append(self._records, zip(keys, pieces, strict=True))
        self._records += len(records)
        self._keys.update(new)
