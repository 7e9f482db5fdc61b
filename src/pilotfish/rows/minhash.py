"""Near-duplicates among millions of texts: an index of MinHash sketches, kept in a file from batch to batch.

Texts stream in and are not kept: a text takes 4 bytes a place of its sketch and 8 for its digest. A million texts of
some 250 characters took 21 s to add and 47 s to search on one core, and 880 MiB at the peak, 490 of them the sketches
of 128 places (`python -m benchmarks minhash`). Sources: Broder 1997 (MinHash); Dahlgaard, Knudsen and Thorup 2017 (the
sketch); Leskovec, Rajaraman and Ullman (banding).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._atomic import atomic
from pilotfish.rows._duplicates import Duplicates, grouped
from pilotfish.rows._near import MinHash, near_within
from pilotfish.rows._shingles import normalised

__all__ = ["MinHash", "MinHashIndex"]

_FORMAT = "pilotfish minhash 1"
_BATCH = 4096


class MinHashIndex:
    """Sketches of texts, to which more are added later.

    The same texts, settings and seed give the same index on every machine, whatever the batches.

    Args:
        how: the settings; None takes the defaults.
    """

    def __init__(self, how: MinHash | None = None) -> None:
        self.how = how or MinHash()
        self._size = 0
        self._sketches = np.empty((0, self.how.size), dtype=np.uint32)
        self._digests = np.empty(0, dtype=np.uint64)

    def __len__(self) -> int:
        return self._size

    @property
    def sketches(self) -> NDArray[np.uint32]:
        """The sketches: (texts, size), a copy."""
        return self._sketches[: self._size].copy()

    def add(self, texts: Iterable[str], progress: Callable[[int], None] | None = None) -> range:
        """Take texts in and return their numbers, which go on from those before.

        Args:
            texts: the texts; an iterator is read in batches.
            progress: called with the number of texts of each batch that is in.
        """
        before = self._size
        for batch in _batched(texts):
            plain = [normalised(text) for text in batch]
            self._make_room(self._size + len(plain))
            some = slice(self._size, self._size + len(plain))
            self._sketches[some] = self.how.sketched(plain)
            self._digests[some] = np.fromiter(map(_digest, plain), dtype=np.uint64, count=len(plain))
            self._size = some.stop
            if progress is not None:
                progress(len(plain))
        return range(before, self._size)

    def duplicates(
        self, since: int = 0, *, texts: Sequence[str] | None = None, labels: Sequence[Hashable] | None = None
    ) -> Duplicates:
        """Group the texts that say the same.

        The pairs are enough to join each group, not every near pair there is.

        Args:
            since: only pairs whose later text has this number or a higher one: an earlier corpus is not compared with
                itself again.
            texts: all texts by their numbers; with them the similarities are exact, without they are the sketches'
                estimates, whose standard error is at most sqrt(s (1 - s) / size).
            labels: one a text, for the conflicts; None labels nothing.

        Raises:
            DataError: there are not as many texts or labels as the index holds.
        """
        for name, given in (("texts", texts), ("labels", labels)):
            if given is not None and len(given) != self._size:
                raise DataError(f"the index holds {self._size} texts but {len(given)} {name} were given")
        _, first, first_of = np.unique(self._digests[: self._size], return_index=True, return_inverse=True)
        # Numbered by first appearance, so that the least member of a group is its first text.
        order = np.argsort(first)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        firsts, first_of = first[order], rank[first_of]
        plain = None if texts is None else [normalised(texts[place]) for place in firsts]
        found, since = self._sketches[: self._size], int(np.searchsorted(firsts, since))
        near = near_within(found, self.how, plain, since, None if len(firsts) == self._size else firsts)
        return grouped(firsts, first_of, near, labels)

    def save(self, path: str | Path) -> None:
        """Write the index into a file (.npz, no pickle), whole or not at all.

        Raises:
            DataError: the system refuses.
        """
        about = json.dumps({"format": _FORMAT, **self.how.to_json()}).encode()
        with atomic(Path(path)) as file:
            arrays: dict[str, Any] = {"sketches": self._sketches[: self._size], "digests": self._digests[: self._size]}
            np.savez(file, about=np.frombuffer(about, dtype=np.uint8), **arrays)

    @classmethod
    def load(cls, path: str | Path) -> MinHashIndex:
        """Read an index back, with its settings.

        Raises:
            DataError: there is no such file, or it is no whole index.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                about = json.loads(arrays["about"].tobytes())
                sketches, digests = arrays["sketches"], arrays["digests"]
            if about.pop("format") != _FORMAT:
                raise ValueError("another format")
            index = cls(MinHash(**about))
        except FileNotFoundError:
            raise DataError(f"{path}: no such file") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: not an index of sketches, or a damaged one ({error})") from error
        if sketches.dtype != np.uint32 or sketches.shape != (len(digests), index.how.size) or digests.ndim != 1:
            raise DataError(f"{path}: not an index of sketches: its arrays do not fit one another")
        index._sketches, index._digests, index._size = sketches, digests.astype(np.uint64), len(digests)
        return index

    def _make_room(self, size: int) -> None:
        if size > len(self._digests):
            # A quarter more each time; large arrays are then moved by the system's page tables, not copied.
            room = max(size, len(self._digests) + len(self._digests) // 4)
            for name in ("_sketches", "_digests"):
                grown = getattr(self, name)
                if not grown.flags.owndata:
                    grown = grown.copy()
                grown.resize((room, *grown.shape[1:]), refcheck=False)
                setattr(self, name, grown)


def _batched(texts: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(texts)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
