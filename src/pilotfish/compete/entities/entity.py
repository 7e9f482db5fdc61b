"""An entity of a knowledge base, and the rows that say what there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.errors import DataError
from pilotfish.rows._json import shown
from pilotfish.rows._row import Row
from pilotfish.rows.read import read

if TYPE_CHECKING:
    from pilotfish.rows.rejects import Rejects

__all__ = ["Entity", "entities"]

_OWN = ("id", "name", "aliases", "types", "description", "prior")


@dataclass(frozen=True, slots=True)
class Entity:
    """Something that texts speak of.

    Attributes:
        id: its own, one of a kind in a knowledge base; it stays when others come and go.
        name: what it is called.
        aliases: what else it is called.
        types: what it is: "person", "city".
        description: a sentence or two that tell it from others of that name.
        prior: how often it is spoken of, in any unit; 0 where nobody counted.
        fields: what else its row held.
    """

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    description: str = ""
    prior: float = 0.0
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The name and the aliases, each once."""
        return tuple(dict.fromkeys((self.name, *self.aliases)))

    @property
    def text(self) -> str:
        """What encoders and re-rankers read: the names, what it is, the description."""
        others = f" ({', '.join(self.names[1:])})" if len(self.names) > 1 else ""
        parts = [f"{self.name}{others}", ", ".join(self.types), self.description.strip()]
        return ". ".join(part.rstrip(".") for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """Return the row that `of_row` reads."""
        told: dict[str, Any] = {"id": self.id, "name": self.name}
        if self.aliases:
            told["aliases"] = list(self.aliases)
        if self.types:
            told["types"] = list(self.types)
        if self.description:
            told["description"] = self.description
        if self.prior:
            told["prior"] = self.prior
        return told | dict(self.fields)

    @classmethod
    def of_row(cls, row: Mapping[str, Any], where: str = "an entity") -> Entity:
        """Read a row: `id` and `name`, and where it has them `aliases`, `types` (lists, or one text), `description`.

        Args:
            row: of the knowledge base.
            where: for errors.

        Raises:
            DataError: no id or name, or a column of another kind; the column is named.
        """
        id, name = row.get("id"), row.get("name")
        if isinstance(id, bool) or not isinstance(id, str | int) or id == "":
            raise DataError(f"{where}: 'id' is {id!r}: each entity needs an id of its own, a text or a whole number")
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"{where}: 'name' is {name!r}: each entity needs a name")
        description, prior = row.get("description") or "", row.get("prior") or 0.0
        if not isinstance(description, str):
            raise DataError(f"{where}: 'description' is {type(description).__name__}, not text")
        if isinstance(prior, bool) or not isinstance(prior, int | float) or not 0 <= prior < float("inf"):
            raise DataError(f"{where}: 'prior' is {prior!r}: it is a number, 0 or more")
        rest = {key: value for key, value in row.items() if key not in _OWN}
        return cls(
            str(id), name, _texts(row, "aliases", where), _texts(row, "types", where), description, float(prior), rest
        )


def entities(source: str | Path, *, rejects: Rejects | None = None, **options: Any) -> Iterator[Entity]:
    """Yield the entities of a file, one at a time.

    Args:
        source: rows of any format that `pilotfish.rows.read` knows.
        rejects: where rows go that are no entity; None raises at the first.
        options: as of `read`.

    Raises:
        DataError: no such file; without `rejects`, a row that is no entity: file, row and column are named.
    """
    if rejects is None:
        options["strict"] = True
    for number, row in enumerate(read(source, rejects=rejects, **options), 1):
        try:
            yield Entity.of_row(row, f"{source}, row {number}")
        except DataError as error:
            if rejects is None:
                raise
            rejects.add(str(source), None, f"{error}", shown(row))


def _texts(row: Row | Mapping[str, Any], column: str, where: str) -> tuple[str, ...]:
    told = row.get(column)
    if told is None or told == "":
        return ()
    if isinstance(told, str):
        told = [told]
    if not isinstance(told, list | tuple) or not all(isinstance(one, str) for one in told):
        raise DataError(f"{where}: {column!r} is a list of texts, not {told!r}")
    return tuple(one for one in told if one.strip())
