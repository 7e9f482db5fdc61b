"""A mention: a piece of a text that speaks of an entity, and the text around it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilotfish.errors import DataError

__all__ = ["Mention", "asked_by", "marked"]

_MARK = re.compile(r"\[\[([^\[\]|]+?)(?:\|([^\[\]|]*))?\]\]")
_AROUND = 200  # characters of the text on each side of a mention that an encoder reads


@dataclass(frozen=True, slots=True)
class Mention:
    """A piece of a text.

    Attributes:
        text: the sentence or passage; the surface alone where there is no more.
        start, end: where the mention lies in it, in characters.
        type: what it is said to be, as "person"; "" where nobody said.
    """

    text: str
    start: int
    end: int
    type: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= len(self.text) or not self.surface.strip():
            raise DataError(f"a mention lies within its text and is not empty; {self.start} to {self.end} of it is not")

    @classmethod
    def alone(cls, surface: str, type: str = "") -> Mention:
        """Return a mention without a text around it."""
        return cls(surface, 0, len(surface), type)

    @classmethod
    def of_row(cls, row: Mapping[str, Any], where: str = "a mention") -> Mention:
        """Read a row: `text` with `start` and `end`, or with `mention`, what is spoken of (its first place counts).

        A row with `mention` alone has no text around it. `type` may say what it is.

        Raises:
            DataError: neither, or a mention that its text does not hold.
        """
        text, surface, start, end = (row.get(name) for name in ("text", "mention", "start", "end"))
        type = row.get("type") or ""
        if not isinstance(type, str) or not isinstance(text, str | None) or not isinstance(surface, str | None):
            raise DataError(f"{where}: 'text', 'mention' and 'type' are texts")
        if text is None and surface is not None:
            text = surface
        if text is None:
            raise DataError(f"{where}: it needs a 'text' with 'start' and 'end', or a 'mention'")
        if start is None and surface is not None:
            start = text.find(surface)
            if start < 0:
                raise DataError(f"{where}: its text does not hold the mention {surface!r}")
            end = start + len(surface)
        if not isinstance(start, int) or not isinstance(end, int):
            raise DataError(f"{where}: 'start' and 'end' are whole numbers, in characters of 'text'")
        try:
            return cls(text, start, end, type)
        except DataError as error:
            raise DataError(f"{where}: {error}") from None

    @property
    def surface(self) -> str:
        """What is said."""
        return self.text[self.start : self.end]

    @property
    def around(self) -> str:
        """The text near it, the mention itself left out."""
        before = self.text[max(0, self.start - _AROUND) : self.start]
        return f"{before} {self.text[self.end : self.end + _AROUND]}".strip()

    @property
    def query(self) -> str:
        """What finds entities by meaning: the surface, and then the text near it."""
        if not self.around:
            return self.surface
        near = self.text[max(0, self.start - _AROUND) : self.end + _AROUND].strip()
        return f"{self.surface}. {near}"


def marked(text: str) -> tuple[str, list[Mention]]:
    """Return a text without its marks, and what was marked: `[[Paris]]`, or `[[Paris|city]]` with a type."""
    plain, places, at = "", [], 0
    for mark in _MARK.finditer(text):
        plain += text[at : mark.start()]
        surface, at = mark.group(1), mark.end()
        places.append((len(plain), len(plain) + len(surface), (mark.group(2) or "").strip()))
        plain += surface
    plain += text[at:]
    return plain, [Mention(plain, *place) for place in places if plain[place[0] : place[1]].strip()]


def asked_by(rows: Sequence[Mapping[str, Any]], where: str, column: str = "entity") -> list[tuple[Mention, str | None]]:
    """Read mentions with what they are of: an id, or None where no entity of the knowledge base is meant.

    Raises:
        DataError: a row without the column, or one that is no mention.
    """
    found = []
    for number, row in enumerate(rows, 1):
        here = f"{where}, row {number}"
        if column not in row:
            raise DataError(f"{here}: no column {column!r}: the id of the entity that is meant, or null for none")
        gold = row[column]
        if isinstance(gold, bool) or not isinstance(gold, str | int | None):
            raise DataError(f"{here}: {column!r} is {gold!r}: an id, or null where no entity is meant")
        found.append((Mention.of_row(row, here), None if gold is None or gold == "" else str(gold)))
    return found
