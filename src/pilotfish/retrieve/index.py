"""An index: a folder with passages and the ways to find them, made in a stream, changed in place.

The collection is what counts. A way that was killed is behind it, and catches up from it: so at whatever moment a
process is killed, the next one goes on from there. The same documents given again are not taken in again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from pilotfish.errors import ConfigError, DataError, did_you_mean
from pilotfish.retrieve._facts import FILE, FORMAT, batches, counter, difference, facts_of
from pilotfish.retrieve._ways import Encoders, made, settings_of, told_of
from pilotfish.retrieve.by_way import ByWay
from pilotfish.retrieve.chunk import Chunks, Counts
from pilotfish.retrieve.collection import Added, Collection
from pilotfish.retrieve.documents import Document
from pilotfish.retrieve.way import Way
from pilotfish.rows._atomic import atomic
from pilotfish.rows._lock import locked
from pilotfish.rows._progress import Progress

__all__ = ["BATCH", "Index"]

PASSAGES, SETTLED = "passages.sqlite", "settled.json"
BATCH = 512


class Index:
    """A folder of passages, and ways to find them. Made by `create`, opened by `open`.

    A way's files are opened, and its model loaded, at its first use. One process changes an index at a time; others
    that have opened a way before search on, and find what was there then.

    Attributes:
        folder: of its files.
        chunks: how documents are cut.
        collection: the passages.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], encoders: Encoders) -> None:
        self.folder, self._facts, self._encoders = folder, dict(facts), encoders
        self.chunks = Chunks(**facts["chunks"])
        self.collection = Collection(folder / PASSAGES)
        self._ways: dict[str, Way] = {}

    @classmethod
    def create(
        cls,
        folder: str | Path,
        ways: Sequence[str] | Mapping[str, Any] = ("bm25",),
        *,
        chunks: Chunks | None = None,
        encoders: Encoders | None = None,
    ) -> Self:
        """Make an empty index, or open the one that is there, if it was made alike.

        Args:
            folder: for its files.
            ways: names out of `WAYS`; or with the settings of each: `Words`, `Vectors`, `Lists`.
            chunks: how documents are cut; None takes them whole.
            encoders: the models of ways that need one; what they are is kept, and asked again when it is opened.

        Raises:
            ConfigError: an unknown way, or a way without the model that it needs; another process writes here; the
                folder holds an index that was made otherwise.
            DataError: the folder cannot be written to, or holds other things.
        """
        folder = Path(folder)
        encoders = encoders or Encoders()
        settings = settings_of(ways)
        facts = {
            "format": FORMAT,
            "chunks": (chunks or Chunks()).to_json(),
            "ways": {name: told_of(name, how, encoders) for name, how in settings.items()},
        }
        with locked(folder):
            path = folder / FILE
            if path.is_file():
                held = facts_of(folder)
                if held != json.loads(json.dumps(facts)):
                    raise ConfigError(f"{folder}: {difference(held, facts)}; choose another folder, or remove this one")
                return cls(folder, held, encoders)
            others = [entry.name for entry in folder.iterdir() if entry.name[0] != "." and entry.name != PASSAGES]
            if others:
                raise DataError(f"{folder} holds {min(others)} and no index: give a new folder")
            with atomic(path) as file:
                file.write(json.dumps(facts, indent=1).encode() + b"\n")
            return cls(folder, facts_of(folder), encoders)

    @classmethod
    def open(cls, folder: str | Path, encoders: Encoders | None = None) -> Self:
        """Open an index.

        Args:
            folder: where it is.
            encoders: the models of its ways, or where to look them up; None takes those that the index names.

        Raises:
            ModelError: the folder holds no index, or a damaged one.
        """
        folder = Path(folder)
        return cls(folder, facts_of(folder), encoders or Encoders())

    def close(self) -> None:
        """Close its files."""
        self.collection.close()
        self._ways.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ways(self) -> list[str]:
        """The names of its ways."""
        return list(self._facts["ways"])

    def __len__(self) -> int:
        """Return how many passages there are."""
        return self.collection.live

    def way(self, name: str) -> Way:
        """Return a way, which holds all passages that were there when it was opened.

        Raises:
            ConfigError: the index has no such way; its model is another one than it was made with; a change is not
                whole, and another process is at it.
        """
        if name not in self._ways:
            way = self._opened(name)
            if self._whole():
                self._ways[name] = way
                self._settle([name])
            else:
                # Whoever changed it was killed: what is missing is done now.
                with self._changing():
                    self._end()
        return self._ways[name]

    def retriever(self, way: str) -> ByWay:
        """Return a retriever by one way.

        Raises:
            ConfigError: as of `way`.
        """
        self.way(way)
        return ByWay(self, way)

    def add(
        self,
        documents: Iterable[Document],
        *,
        progress: bool = False,
        total: int | None = None,
        batch: int = BATCH,
    ) -> Added:
        """Take documents in; those whose id is there take the place of the old ones, unless they are the same.

        After `kill -9` the same call goes on: what was taken in is the same.

        Args:
            documents: read once, as they come.
            progress: show a bar.
            total: how many there are, about, for the bar.
            batch: documents that are taken in, and last, together.

        Raises:
            ConfigError: another process writes here.
            DataError: the disk is full, or refuses.
        """
        added = Added()
        counts = self._counts()
        with self._changing(), Progress(total, shown=progress, unit="documents") as bar:
            for some in batches(documents, batch):
                added += self.collection.add([self.chunks.of(document, counts) for document in some])
                self._catch_up([name for name in self.ways if not self._ways[name].patient])
                bar.add(len(some))
            self._end()
        return added

    def delete(self, documents: Sequence[str]) -> int:
        """Delete documents by their ids; return how many passages went.

        Raises:
            ConfigError: another process writes here.
            DataError: an id that is not there; then none is deleted.
        """
        with self._changing():
            gone = self.collection.delete(documents)
            self._end()
        return gone

    def keep(self, documents: Iterable[str]) -> int:
        """Delete every document but these, so that the index mirrors its source; return how many passages went.

        Args:
            documents: ids; one that is not there is no fault.

        Raises:
            ConfigError: another process writes here.
        """
        kept = set(documents)
        with self._changing():
            gone = self.collection.delete([name for name in self.collection.names() if name not in kept])
            self._end()
        return gone

    def info(self) -> dict[str, Any]:
        """Return what the index is and holds, as plain data; no model is loaded."""
        sizes = {
            name: sum(file.stat().st_size for file in (self.folder / name).rglob("*") if file.is_file())
            for name in self.ways
        }
        sizes["passages"] = sum(file.stat().st_size for file in self.folder.glob(f"{PASSAGES}*"))
        return {
            "documents": self.collection.documents,
            "passages": self.collection.live,
            "deleted": self.collection.rows - self.collection.live,
            "chunks": self._facts["chunks"],
            "ways": self._facts["ways"],
            "bytes": sizes,
        }

    def _opened(self, name: str) -> Way:
        if name not in self._facts["ways"]:
            raise ConfigError(f"{self.folder}: the index has no way {name!r}{did_you_mean(name, self.ways)}")
        return made(name, self.folder / name, self._facts["ways"][name], self._encoders, str(self.folder))

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Lock the folder, open all ways and let them catch up: what a killed process left is done first."""
        with locked(self.folder):
            try:
                for name in self.ways:
                    if name not in self._ways:
                        self._ways[name] = self._opened(name)
                self._catch_up(self.ways)
                yield
            except BaseException:
                self._ways.clear()  # what they hold of a change that failed is not on the disk: they are opened anew
                raise

    def _end(self) -> None:
        """Make a change whole: all ways have all rows, and what is derived from them."""
        self._catch_up(self.ways)
        self._settle(self.ways)
        with atomic(self.folder / SETTLED) as file:
            file.write(json.dumps(self._state()).encode())

    def _state(self) -> dict[str, int]:
        # Rows only come and only go: the two numbers tell any two moments apart.
        return {"rows": self.collection.rows, "passages": self.collection.live}

    def _whole(self) -> bool:
        """Say whether the last change came to its end."""
        path = self.folder / SETTLED
        return self._state() == (json.loads(path.read_bytes()) if path.is_file() else {"rows": 0, "passages": 0})

    def _catch_up(self, ways: Sequence[str]) -> None:
        """Give ways the rows that they lack."""
        rows = self.collection.rows
        for name in ways:
            way = self._ways[name]
            if way.rows > rows:
                raise DataError(f"{self.folder / name}: has more rows than the index has; make the index anew")
            if way.patient and way.rows < rows:
                starts = range(way.rows, rows, BATCH)
                way.add(text for at in starts for text in self.collection.texts(at, min(rows, at + BATCH)))
            while way.rows < rows:
                way.add(self.collection.texts(way.rows, min(rows, way.rows + BATCH)))

    def _settle(self, ways: Sequence[str]) -> None:
        deleted = self.collection.deleted.tolist()
        for name in ways:
            way = self._ways[name]
            way.delete([row for row in deleted if row < way.rows])
            way.settle()

    def _counts(self) -> Counts | None:
        """Return what counts tokens, where passages are cut by them: the tokenizer of a way's model."""
        if self.chunks.unit != "tokens":
            return None
        for name in self.ways:
            encoder = self._encoders.of(name, self._facts["ways"][name], str(self.folder))
            if encoder is not None:
                return counter(encoder)
        raise ConfigError(f"{self.folder}: passages of so many tokens need a way with a model, whose tokens they are")
