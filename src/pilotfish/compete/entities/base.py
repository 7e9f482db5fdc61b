"""A knowledge base of entities: a folder that is searched by names, words, meaning and tokens, and changed in place.

An entity is a document of an index (`pilotfish.retrieve.Index`) of one passage, so what holds for an index holds for
it: a row keeps its number, ids stay, what a killed process left undone is done by the next, nothing that is there is
read by a model again. Names are a further way, which follows the index's passages as its other ways do. A new entity is
found as soon as it is added: nothing is trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pilotfish.compete.entities.aliases import AliasIndex
from pilotfish.compete.entities.entity import Entity
from pilotfish.errors import ConfigError, ModelError, did_you_mean
from pilotfish.retrieve.documents import Document
from pilotfish.retrieve.found import Hit, Passage, Retriever
from pilotfish.retrieve.hybrid import Hybrid
from pilotfish.retrieve.index import BATCH, Index
from pilotfish.rows._lock import locked

if TYPE_CHECKING:
    from pilotfish.retrieve._ways import Encoders
    from pilotfish.retrieve.collection import Added

__all__ = ["NAMES", "EntityBase", "entity_of"]

NAMES = "names"
WAYS = ("bm25", "dense")


class EntityBase:
    """A folder of entities. Made by `create`, opened by `open`.

    Args:
        folder: where it is.
        index: of its entities' texts.
    """

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder, self.index = folder, index
        self._names: AliasIndex | None = None

    @classmethod
    def create(
        cls,
        folder: str | Path,
        ways: Sequence[str] | Mapping[str, Any] = WAYS,
        *,
        encoders: Encoders | None = None,
    ) -> Self:
        """Make an empty knowledge base, or open the one that is there, if it was made alike.

        Args:
            folder: for its files.
            ways: beside the names, as of `Index.create`: "bm25", "dense", "sparse", "late", with or without settings.
            encoders: the models of ways that need one.

        Raises:
            ConfigError: as of `Index.create`.
            DataError: likewise.
        """
        folder = Path(folder)
        return cls(folder, Index.create(folder / "index", ways, encoders=encoders))

    @classmethod
    def open(cls, folder: str | Path, encoders: Encoders | None = None) -> Self:
        """Open a knowledge base.

        Raises:
            ModelError: there is none, or a damaged one.
        """
        folder = Path(folder)
        if not (folder / "index").is_dir():
            raise ModelError(f"{folder}: no knowledge base of entities; make one by `pilotfish entities build`")
        return cls(folder, Index.open(folder / "index", encoders))

    def close(self) -> None:
        """Close its files."""
        self.index.close()
        self._names = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Return how many entities there are."""
        return len(self.index)

    def __iter__(self) -> Iterator[Entity]:
        """Yield the entities, in the order in which they came."""
        return map(entity_of, self.index.collection)

    @property
    def ways(self) -> list[str]:
        """How it is searched: by names, and the ways of its index."""
        return [NAMES, *self.index.ways]

    def add(self, entities: Iterable[Entity], *, progress: bool = False, total: int | None = None) -> Added:
        """Take entities in; those whose id is there take the place of the old ones, unless they are the same.

        After `kill -9` the same call goes on.

        Raises:
            ConfigError: another process writes here.
            DataError: the disk is full, or refuses.
        """
        added = self.index.add(map(_document, entities), progress=progress, total=total)
        self._follow()
        return added

    def remove(self, ids: Sequence[str]) -> int:
        """Take entities out by their ids; return how many went.

        Raises:
            ConfigError: another process writes here.
            DataError: an id that is not there; then none is taken out.
        """
        gone = self.index.delete(ids)
        self._follow()
        return gone

    def get(self, ids: Sequence[str]) -> list[Entity | None]:
        """Return entities by their ids; None for one that is not there."""
        rows = self.index.collection.rows_of(ids)
        held = self.index.collection.passages(list(rows.values()))
        known = dict(zip(rows, map(entity_of, held), strict=True))
        return [known.get(id) for id in ids]

    @property
    def names(self) -> AliasIndex:
        """The entities by their names."""
        if self._names is None:
            self._follow()
        assert self._names is not None
        return self._names

    def retriever(self, way: str) -> Retriever:
        """Return a retriever by one way.

        Raises:
            ConfigError: there is no such way.
        """
        if way == NAMES:
            return ByNames(self)
        if way not in self.index.ways:
            raise ConfigError(f"{self.folder}: no way {way!r}{did_you_mean(way, self.ways)}")
        return self.index.retriever(way)

    def search(self, queries: Sequence[str], k: int = 10, ways: Sequence[str] | None = None) -> list[list[Hit]]:
        """Return the best k entities of each query by some ways, joined by reciprocal ranks; None takes all ways."""
        parts = [self.retriever(way) for way in dict.fromkeys(ways or self.ways)]
        return (parts[0] if len(parts) == 1 else Hybrid(parts)).search(queries, k)

    def _follow(self) -> None:
        """Bring the names to where the index is."""
        collection = self.index.collection
        index = self._names or AliasIndex(self.folder / NAMES)
        if index.rows < collection.rows:
            with locked(self.folder / NAMES):
                index = AliasIndex(self.folder / NAMES)  # another process may have been first
                while index.rows < collection.rows:
                    # A row that was deleted has no name, and keeps its number.
                    stop = min(collection.rows, index.rows + BATCH)
                    held = collection.passages(range(index.rows, stop))
                    index.add([entity_of(one).names if one.fields else () for one in held])
        index.delete(collection.deleted.tolist())
        index.settle()
        self._names = index


class ByNames:
    """The retriever by names.

    Args:
        base: where.
    """

    name = NAMES

    def __init__(self, base: EntityBase) -> None:
        self.base = base

    def search(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
        """See `Retriever`.

        Raises:
            ConfigError: k is below 1.
        """
        if k < 1:
            raise ConfigError(f"k is 1 or more, not {k}")
        found: list[list[Hit]] = []
        for query in queries:
            near = self.base.names.near(query, k)
            held = self.base.index.collection.passages([one.row for one in near])
            found.append([Hit(passage, one.score) for passage, one in zip(held, near, strict=True)])
        return found


def entity_of(passage: Passage) -> Entity:
    """Return the entity that a passage of a knowledge base is."""
    return Entity.of_row(passage.fields, f"entity {passage.id!r}")


def _document(entity: Entity) -> Document:
    return Document(entity.id, entity.text, "", entity.to_json())
