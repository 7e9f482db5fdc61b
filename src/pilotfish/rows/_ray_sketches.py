"""Near rows sought by workers of Ray: texts are sketched there, and keys of a band are shared out by their hash.

Equal keys of a band come to one worker, which joins near rows as one process would; what it has joined is put together
here before the next band. So groups are the same on any number of workers. Workers read sketches and texts from the
files of the folder; where a machine does not see it, that part is joined here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.rows._groups import joined
from pilotfish.rows._near import MinHash
from pilotfish.rows._session import begun, here
from pilotfish.rows._sketch_file import Joiner, Mapped, SketchFile, band_path, digests, in_order
from pilotfish.rows._sketch_native import packed
from pilotfish.rows._sketch_texts import Packed, plain_bytes
from pilotfish.rows.engine import Ray, engine_of

__all__ = ["TEXTS", "RaySketches", "sketch_file"]

TEXTS = "texts.bin"  # the file of the texts, beside the sketches
Ints = NDArray[np.int64]
Numbers = NDArray[np.int32]


def sketch_file(folder: Path, how: MinHash) -> SketchFile:
    """Return a file of sketches that is filled and searched where runs are done now: here, or by workers of Ray."""
    workers = engine_of()
    return SketchFile(folder, how) if workers is None else RaySketches(folder, how, workers)


class RaySketches(SketchFile):
    """Sketches of texts, made by workers; the files are those of a `SketchFile`.

    Args:
        folder: it must be there; the texts lie in its file `TEXTS` when groups are sought.
        how: the settings.
        workers: who does the work.
    """

    def __init__(self, folder: Path, how: MinHash, workers: Ray) -> None:
        super().__init__(folder, how)
        self._workers = workers

    def taken(self, batches: Iterable[Sequence[str]]) -> Iterator[list[bytes]]:
        """Normalise texts and take them in; yield them normalised, in order."""
        with self._workers.up() as ray:
            task = ray.remote(_sketched).options(num_cpus=self._workers.cpus)
            under_way: deque[Any] = deque()
            for batch in batches:
                under_way.append(task.remote(self.how, list(batch)))
                if len(under_way) > 2 * self._workers.workers:
                    yield self._entered(ray.get(under_way.popleft()))
            while under_way:
                yield self._entered(ray.get(under_way.popleft()))

    def _entered(self, found: tuple[list[bytes], NDArray[np.uint32], NDArray[np.uint64]]) -> list[bytes]:
        plain, sketches, digested = found
        self.put(sketches, digested)
        return plain

    def _joined(
        self, parent: Numbers, copies: NDArray[np.bool_], texts: Packed | None, touched: Sequence[Mapped]
    ) -> Numbers:
        # What a worker of another machine sees under this path may be something else: the name tells.
        session = begun(self._folder)
        parts = self._workers.workers
        with self._workers.up() as ray:
            task = ray.remote(_part).options(num_cpus=self._workers.cpus)
            given = ray.put((self._folder, session, self.how, copies, None if texts is None else texts.starts))
            for band in range(self.how.banding.bands):
                before = ray.put(parent)
                found = [task.remote(given, before, band, (part, parts)) for part in range(parts)]
                for part, ref in enumerate(found):
                    edges = ray.get(ref)
                    if edges is None:
                        join = Joiner(self._folder, self.how, parent.copy(), texts, touched)
                        edges = _edges(join, self._folder, parent, copies, band, (part, parts))
                    parent = joined(parent.astype(np.int64), *edges).astype(np.int32)
        return parent


def _sketched(how: MinHash, texts: Sequence[str]) -> tuple[list[bytes], NDArray[np.uint32], NDArray[np.uint64]]:
    plain = plain_bytes(texts)
    return plain, how.sketched_packed(*packed(plain)), digests(plain)


def _part(given: tuple[Any, ...], before: Numbers, band: int, part: tuple[int, int]) -> tuple[Ints, Ints] | None:
    """Return the rows that are joined through one part of a band's keys; None where the files are not seen."""
    folder, session, how, copies, starts = given
    if not here(folder, session):
        return None
    file = Mapped(folder / TEXTS) if starts is not None else None
    texts = None if file is None else Packed(file.array, starts)
    join = Joiner(folder, how, before.copy(), texts, [] if file is None else [file])
    return _edges(join, folder, before, copies, band, part)


def _edges(
    join: Joiner, folder: Path, before: Numbers, copies: NDArray[np.bool_], band: int, part: tuple[int, int]
) -> tuple[Ints, Ints]:
    """Return (row, another of its group) for the rows that a part of a band's keys has joined."""
    number, parts = part
    keys = np.fromfile(band_path(folder, band), np.uint64)
    # By the high bits, which are a hash's and share the keys out evenly.
    rows = np.flatnonzero(((keys >> np.uint64(32)) * np.uint64(parts)) >> np.uint64(32) == number)
    join(band, *in_order(keys[rows], rows.astype(np.int32), copies))
    changed = np.flatnonzero(join.parent != before)
    return changed, join.parent[changed].astype(np.int64)
