"""What a judge goes by: criteria in words, a scale of whole numbers, and the form of the reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pilotfish.errors import ConfigError

__all__ = ["Rubric"]

MOST = 101  # numbers on a scale
LISTED = 21  # that are few enough to be listed: of a range not every decoder knows the meaning
REASON = "reason"


@dataclass(frozen=True)
class Rubric:
    """Criteria, and the scale that each is judged on.

    Attributes:
        criteria: name -> what it asks about, in words; the name may have no sentence of its own ("").
        low, high: the scale's ends, whole numbers, 100 apart at most.
        meanings: number -> what it stands for, of as many numbers as need it.

    Raises:
        ConfigError: no criterion, a name that is none, or a scale that does not go up.
    """

    criteria: Mapping[str, str]
    low: int = 1
    high: int = 5
    meanings: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.criteria or any(not name.strip() or name == REASON for name in self.criteria):
            raise ConfigError(f"a rubric has criteria by name, none of them empty or called {REASON!r}")
        if any(one != int(one) for one in (self.low, self.high)) or not 0 < self.high - self.low < MOST:
            raise ConfigError(f"a scale goes up by whole numbers, a hundred at most: not {self.low} to {self.high}")
        if off := [number for number in self.meanings if not self.low <= number <= self.high]:
            raise ConfigError(f"meanings: {off[0]} is not on the scale from {self.low} to {self.high}")

    @classmethod
    def of(cls, question: str, **settings: Any) -> Rubric:
        """Return a rubric of one criterion, called "score"."""
        return cls({"score": question}, **settings)

    @cached_property
    def scale(self) -> tuple[int, ...]:
        """All its numbers."""
        return tuple(range(int(self.low), int(self.high) + 1))

    @property
    def name(self) -> str:
        """Criteria and scale, as reports show them."""
        return f"{', '.join(self.criteria)}, {self.low} to {self.high}"

    def only(self, criterion: str) -> Rubric:
        """Return one of its criteria."""
        return Rubric({criterion: self.criteria[criterion]}, self.low, self.high, self.meanings)

    def words(self, scale: bool = True) -> str:
        """Return what a judge is told: the criteria, and the scale where numbers are asked for."""
        lines = [f"- {name}: {about}" if about.strip() else f"- {name}" for name, about in self.criteria.items()]
        if scale:
            meant = [f"{number} is {self.meanings[number]}" for number in sorted(self.meanings)]
            said = f"The scale: whole numbers from {self.low} (worst) to {self.high} (best)"
            lines.append(f"{said}; {'; '.join(meant)}." if meant else f"{said}.")
        return "\n".join(lines)

    def schema(self, explain: bool) -> dict[str, Any]:
        """Return the JSON schema of a reply with a number for each criterion, after a reason where one is asked for."""
        number: dict[str, Any] = {"type": "integer", "minimum": self.low, "maximum": self.high}
        if len(self.scale) <= LISTED:
            number = {"enum": list(self.scale)}
        return object_of(dict.fromkeys(self.criteria, number), explain)

    def read(self, told: Mapping[str, Any]) -> dict[str, int] | str:
        """Return each criterion's number of a reply, or why there is none."""
        found = {}
        for name in self.criteria:
            value = told.get(name)
            if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
                return f"no whole number for a criterion: {name} is {str(value)[:50]!r}"
            if not self.low <= value <= self.high:
                return f"a number off the scale: {name} is {str(value)[:20]}"
            found[name] = int(value)
        return found


def object_of(properties: Mapping[str, Any], explain: bool) -> dict[str, Any]:
    """Return the schema of an object that has all of these and nothing else; its reason comes first."""
    whole = {**({REASON: {"type": "string"}} if explain else {}), **properties}
    return {"type": "object", "properties": whole, "required": list(whole), "additionalProperties": False}
