"""An index of token vectors on the disk: built from a stream, grown, shrunk, and searched where it lies.

Sources: Santhanam et al. 2022 (ColBERTv2, residual codes; PLAID, the search). A folder of .npy files that are mapped
into memory, and `late.json`, which names them: it is replaced at once and last, so a process that is killed leaves the
index as it was. Documents are rows, counted as they came; a row that is deleted keeps its number.
"""

from __future__ import annotations

import ctypes
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._saved import facts_in, reading
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.retrieve.found import Found
from pilotfish.retrieve.late import _native
from pilotfish.retrieve.late._search import Stages, searched
from pilotfish.retrieve.late._segment import Kept, merged, written
from pilotfish.retrieve.late._spool import Spool
from pilotfish.retrieve.late.codec import SAMPLE, Codec, centroids_for
from pilotfish.retrieve.late.maxsim import Ragged
from pilotfish.rows._atomic import atomic
from pilotfish.rows._lock import locked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.retrieve.late._segment import Stretch

__all__ = ["LateIndex"]

FILE, FORMAT, WHAT = "late.json", 1, "late-interaction index"
_BATCH = 1 << 16  # tokens that are coded together


class LateIndex:
    """An index that is open; it sees what it changed itself, and what others changed after `reload`.

    Args:
        folder: what `build` wrote.
        threads: that a search uses; None for as many as there are cores.
        native: use the C code where it can be had; numpy else, with the same results.

    Attributes:
        folder: where it lies.
        codec: how vectors are kept.

    Raises:
        ModelError: the folder holds no index, or a damaged one.
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None, native: bool = True) -> None:
        self.folder, self.threads, self.native = Path(folder), _native.threads_here(threads), native
        self.reload()

    @classmethod
    def build(
        cls,
        folder: str | Path,
        documents: Iterable[NDArray[np.floating]],
        *,
        bits: int = 4,
        centroids: int | None = None,
        codec: Codec | None = None,
        seed: int = 0,
        note: str = "",
        threads: int | None = None,
        native: bool = True,
    ) -> LateIndex:
        """Make an index of documents as they come; one that is there already is there until the new one is.

        The vectors wait on the disk, in half precision, until they are all there: 2 bytes a coordinate in the folder
        for as long as it takes, and in memory no more than 64 vectors for each centroid and 20 bytes a token. With a
        codec nothing has to wait.

        Args:
            folder: where it is to lie.
            documents: each (tokens, d), of length 1; one without tokens is never found.
            bits: 1, 2 or 4 for each coordinate.
            centroids: how many; None for about 16 times the root of the tokens.
            codec: one that is there, rather than one learnt from these documents.
            seed: of the sample that the centroids are learnt from.
            note: what the index should say of itself, as whose vectors these are.
            threads: to use.
            native: use the C code where it can be had.

        Raises:
            ConfigError: another process writes there; other bits.
            DataError: no token at all, vectors of different dimensions, a disk that is full.
        """
        folder = Path(folder)
        with locked(folder):
            told = _told(folder) if (folder / FILE).exists() else {"next": 0}
            _sweep(folder, told)
            number = told["next"]
            if codec is None:
                with Spool(folder / ".spool") as spool:
                    for one in documents:
                        spool.put(one)
                    wanted = centroids or centroids_for(spool.tokens)
                    sample = spool.sample(SAMPLE * wanted, seed)
                    codec = Codec.fit(sample, wanted, bits=bits, seed=seed, threads=threads, native=native)
                    del sample
                    entry = _segment(folder, number, 0, _coded(spool.documents(), codec, threads), codec)
            else:
                entry = _segment(folder, number, 0, _coded(documents, codec, threads), codec)
            name = f"codec-{codec.identity}"
            if name != told.get("codec"):
                codec.save(folder / name)
            facts = {"codec": name, "bits": codec.bits, "dimension": codec.dimension, "note": note}
            _commit(folder, {**facts, "segments": [entry], "deleted": None, "next": number + 1})
        return cls(folder, threads=threads, native=native)

    def reload(self) -> None:
        """Open what the index is now."""
        told = _told(self.folder)
        while True:
            try:
                with reading(self.folder, WHAT):
                    self._open(told)
                return
            except ModelError as error:
                # What its file named is gone a moment later where another process put the index together anew.
                again = _told(self.folder)
                if not isinstance(error.__cause__, FileNotFoundError) or again == told:
                    raise
                told = again

    def _open(self, told: dict[str, Any]) -> None:
        folder = self.folder
        codec = Codec.load(folder / told["codec"], told["bits"], native=self.native)
        parts = [(entry["first"], Kept.open(folder / entry["folder"])) for entry in told["segments"]]
        rows = sum(len(part) for _, part in parts)
        gone = np.zeros(rows, bool)
        if told["deleted"] is not None:
            known = np.unpackbits(np.load(folder / told["deleted"], allow_pickle=False)).astype(bool)
            gone[: min(rows, len(known))] = known[:rows]
        filled = np.concatenate([np.diff(part.starts) > 0 for _, part in parts]) if parts else gone
        self._facts, self.codec, self._parts, self._gone = told, codec, parts, gone
        self._usable = (filled & ~gone).astype(np.uint8)
        self._lib = _native.library() if self.native else None
        if self._lib is not None:
            self._centroids = np.ascontiguousarray(codec.centroids)
            self._weights = np.ascontiguousarray(codec.weights)
            held = (_native.Segment * max(1, len(parts)))(*(part.native(first) for first, part in parts))
            where = (_native.address(self._centroids), _native.address(self._weights))
            sizes = (len(codec.centroids), codec.dimension, len(parts), rows)
            self._whole = _native.Index(*where, *sizes, held, codec.bits, int(codec.kind == np.int32))

    def __len__(self) -> int:
        """How many rows there are, those that are deleted included."""
        return len(self._gone)

    @property
    def alive(self) -> NDArray[np.bool_]:
        """(rows,) False where a row is deleted."""
        return ~self._gone

    @property
    def tokens(self) -> int:
        """How many tokens are kept, those of deleted rows included until `compact`."""
        return sum(part.tokens for _, part in self._parts)

    @property
    def segments(self) -> int:
        """In how many parts they are kept."""
        return len(self._parts)

    @property
    def note(self) -> str:
        """What the index was told to say of itself."""
        return str(self._facts["note"])

    @property
    def bytes(self) -> int:
        """What it takes on the disk."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def vectors(self, row: int) -> NDArray[np.float32]:
        """Return a row's vectors as they are kept: (tokens, d)."""
        first, part = next(one for one in reversed(self._parts) if one[0] <= row)
        here = slice(int(part.starts[row - first]), int(part.starts[row - first + 1]))
        return self.codec.decode(part.codes[here], part.residuals[here])

    def search(
        self,
        queries: Sequence[NDArray[np.floating]],
        k: int,
        *,
        alive: NDArray[np.bool_] | None = None,
        n_probe: int = 8,
        candidates: int | None = None,
        threshold: float = 0.0,
    ) -> Found:
        """Return the best k rows of each query, all that can be found where they are fewer.

        Args:
            queries: each (tokens, d).
            k: how many.
            alive: (rows,) False where a row is not to be found.
            n_probe: centroids whose documents are looked at, for each token of a query.
            candidates: documents that are scored exactly, k at least; None for 4 k, and 256 at least. Where no more can
                be found all of them are, and nothing is passed over.
            threshold: a centroid that no token of a query matches so well is passed over, with the documents that
                have no better one (PLAID's t_cs).

        Raises:
            ConfigError: a number out of range.
            DataError: a query of another dimension, or a mask of another length.
        """
        candidates = max(4 * k, 256) if candidates is None else candidates
        if k < 1 or n_probe < 1 or candidates < 1:
            raise ConfigError(f"k, n_probe and candidates are 1 or more, not {k}, {n_probe} and {candidates}")
        usable = self._usable
        if alive is not None:
            if alive.shape != usable.shape:
                raise DataError(f"alive is a mask of {alive.shape}; the index has {len(usable)} rows")
            usable = usable & alive.astype(np.uint8)
        stages = Stages(min(n_probe, len(self.codec.centroids)), max(candidates, k), threshold)
        asked = Ragged.of(queries, self.codec.dimension)
        rows: NDArray[np.int64] = np.full((len(asked), k), -1, np.int64)
        scores: NDArray[np.float32] = np.full((len(asked), k), -np.inf, np.float32)
        if self._lib is None:
            for number in range(len(asked)):
                found = searched(asked[number], k, self.codec, self._parts, usable, stages)
                rows[number], scores[number] = found
            return Found(rows, scores)
        usable = np.ascontiguousarray(usable)
        sizes = (k, stages.n_probe, stages.candidates, stages.threshold, self.threads)
        how = _native.Asked(*sizes, _native.address(usable), int(np.count_nonzero(usable)))
        where = (_native.address(asked.vectors), _native.address(asked.starts), len(asked))
        out = (_native.address(rows), _native.address(scores))
        _native.called(self._lib.pf_late_search, ctypes.byref(self._whole), ctypes.byref(how), *where, *out)
        return Found(rows, scores)

    def add(self, documents: Iterable[NDArray[np.floating]]) -> range:
        """Append documents and return their rows; the codec stays, and small parts are put together as they come.

        Raises:
            ConfigError: another process writes there.
            DataError: vectors of another dimension, a disk that is full.
        """
        with locked(self.folder):
            self._current()
            told, number, first = self._facts, self._facts["next"], len(self)
            entry = _segment(self.folder, number, first, _coded(documents, self.codec, self.threads), self.codec)
            entries = [*told["segments"], entry]
            number += 1
            # Two parts become one when the later is half as large as the one before: each token is copied a few times
            # in all, and there are never many parts.
            while len(entries) > 1 and entries[-2]["tokens"] < 2 * entries[-1]["tokens"]:
                entries[-2:] = [self._together(entries[-2:], number)]
                number += 1
            _commit(self.folder, {**told, "segments": entries, "next": number})
            self.reload()
        return range(first, len(self))

    def delete(self, rows: Iterable[int]) -> int:
        """Take rows out of all searches, and return how many were there; their room is free after `compact`.

        Raises:
            ConfigError: another process writes there.
            DataError: there is no such row.
        """
        with locked(self.folder):
            self._current()
            wanted = np.unique(np.fromiter(rows, np.int64))
            if len(wanted) and (wanted[0] < 0 or wanted[-1] >= len(self)):
                wrong = wanted[0] if wanted[0] < 0 else wanted[-1]
                raise DataError(f"row {wrong}: the index has rows 0 to {len(self) - 1}")
            gone = self._gone.copy()
            gone[wanted] = True
            name = f"deleted-{self._facts['next']}.npy"
            with atomic(self.folder / name) as file:
                np.save(file, np.packbits(gone), allow_pickle=False)
            there = int((~self._gone[wanted]).sum())
            _commit(self.folder, {**self._facts, "deleted": name, "next": self._facts["next"] + 1})
            self.reload()
        return there

    def compact(self) -> None:
        """Put all parts together and drop what is kept of deleted rows; no row changes its number.

        Raises:
            ConfigError: another process writes there.
        """
        with locked(self.folder):
            self._current()
            told = self._facts
            entry = self._together(told["segments"], told["next"])
            _commit(self.folder, {**told, "segments": [entry], "next": told["next"] + 1})
            self.reload()

    def _current(self) -> None:
        """See what others changed, and take away what a process that was killed left; under the lock."""
        if _told(self.folder) != self._facts:
            self.reload()
        _sweep(self.folder, self._facts)

    def _together(self, entries: Sequence[dict[str, Any]], number: int) -> dict[str, Any]:
        first = entries[0]["first"]
        parts = [Kept.open(self.folder / entry["folder"]) for entry in entries]
        rows = sum(map(len, parts))
        gone = np.zeros(rows, bool)
        known = self._gone[first : first + rows]
        gone[: len(known)] = known
        return _segment(self.folder, number, first, merged(parts, gone), self.codec)


def _coded(documents: Iterable[NDArray[np.floating]], codec: Codec, threads: int | None) -> Iterator[Stretch]:
    """Yield documents as they are kept, many at a time; all are rounded to half precision, as those that waited."""
    held: list[NDArray[np.float16]] = []
    size = 0
    for one in chain(documents, [None]):
        if one is not None:
            held.append(_half(one, codec.dimension))
            size += len(held[-1])
        if held and (one is None or size >= _BATCH):
            yield [len(part) for part in held], *codec.encode(np.concatenate(held), threads=threads)
            held, size = [], 0


def _half(one: NDArray[np.floating], dimension: int) -> NDArray[np.float16]:
    found = np.asarray(one, np.float16)
    if found.ndim != 2 or found.shape[1] != dimension:
        raise DataError(f"a document's vectors are (tokens, {dimension}), not {found.shape}")
    return found


def _segment(folder: Path, number: int, first: int, stretches: Iterable[Stretch], codec: Codec) -> dict[str, Any]:
    name = f"segment-{number}"
    documents, tokens = written(folder / name, stretches, codec)
    return {"folder": name, "first": first, "documents": documents, "tokens": tokens}


def _told(folder: Path) -> dict[str, Any]:
    with reading(folder, WHAT):
        return facts_in(folder / FILE, WHAT, FORMAT)


def _commit(folder: Path, facts: dict[str, Any]) -> None:
    """Make this what the index is, and take away what no longer belongs to it."""
    with atomic(folder / FILE) as file:
        file.write((json.dumps({"format": FORMAT, **facts}, indent=1) + "\n").encode())
    _sweep(folder, facts)


def _sweep(folder: Path, facts: dict[str, Any]) -> None:
    """Remove what an index's writers made and its file does not name."""
    named = {facts.get("codec"), facts.get("deleted"), *(entry["folder"] for entry in facts.get("segments", ()))}
    for kind in ("segment-*", "codec-*", "deleted-*.npy", ".spool*", ".*.tmp"):
        for path in folder.glob(kind):
            if path.name in named:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
