"""The kinds of labels: what is asked, how an answer is read, and how several answers become one label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._row import Row
from pilotfish.synthesize.fields import Fields

__all__ = ["Joined", "Kind", "Opinion", "mixed", "named", "ranked", "read_share", "sole", "text_of"]


@dataclass(frozen=True)
class Opinion:
    """What one answer says of a row.

    Attributes:
        shares: value -> its probability; one value with 1 where the answer just names it.
        weight: the probability of the answer's own words, where the model tells it.
        soft: whether the shares are the model's probabilities.
    """

    shares: Mapping[Any, float]
    weight: float | None = None
    soft: bool = False


@dataclass(frozen=True)
class Joined:
    """What all answers about a row come to.

    Attributes:
        value: the label.
        confidence: how far the answers agree on it, or the probability that they give it: 0 to 1.
        shares: value -> its share over all answers, the largest first. Of a set of labels or of spans those of each
            member.
    """

    value: Any
    confidence: float
    shares: tuple[tuple[Any, float], ...]


class Kind(ABC):
    """A kind of labels.

    Args:
        text: the column that is labelled, or several that are shown together.

    Attributes:
        name: as the file's tables have it.
        template: of the question.
        variants: the ways a row is asked in, one prompt each: both orders of a pair, each label on its own.
        fields: the answer's schema.
        classes: the values, where they are few and one of them is the label.
        twofold: whether one answer to each variant says already how far they agree.
    """

    name: str = ""
    template: str = ""
    variants: Sequence[str] = ("",)
    fields: Fields
    classes: tuple[Any, ...] | None = None
    twofold: bool = False

    def __init__(self, text: str | Sequence[str]) -> None:
        self.text = (text,) if isinstance(text, str) else tuple(text)
        if not self.text:
            raise ConfigError("labels need the column that holds the text")

    def turn(self, row: Row, variant: str) -> str:
        """Return what is shown of a row."""
        if len(self.text) == 1:
            return f"Text: {text_of(row, self.text[0])}"
        return "\n".join(f"{name}: {text_of(row, name)}" for name in self.text)

    def key(self, row: Row) -> str:
        """Return what two rows that are copies of one another share."""
        return "\x1f".join(" ".join(text_of(row, name).split()) for name in self.text)

    @abstractmethod
    def places(self, variant: str) -> dict[str, Any]:
        """Return what the question's template is filled in with."""

    def choices(self, variant: str) -> Mapping[str, Any] | None:
        """Return the answers in so many words -> their values; None where they cannot be listed."""
        return None

    @abstractmethod
    def told(self, value: Any, variant: str) -> dict[str, Any]:
        """Return the answer, as the object that the schema asks for, that says this value."""

    @abstractmethod
    def read(self, answer: Row, row: Row, variant: str) -> Any:
        """Return the value of an answer that fits the schema.

        Raises:
            DataError: it does not fit the row.
        """

    @abstractmethod
    def value(self, given: Any, row: Row) -> Any:
        """Return the value of a label that a person gave.

        Raises:
            DataError: it is none.
        """

    def plain(self, value: Any) -> Any:
        """Return a value as it stands in a row."""
        return value

    @abstractmethod
    def join(self, opinions: Mapping[str, Sequence[Opinion | None]]) -> Joined:
        """Return what answers come to.

        Args:
            opinions: variant -> one an answer; None for an answer that could not be read, which counts as one that
                agrees with none. Each variant has one at least that could.
        """

    def right(self, value: Any, gold: Any) -> bool:
        """Say whether a label is as a person gave it."""
        return bool(value == gold)

    @abstractmethod
    def figures(self, values: Sequence[Any], gold: Sequence[Any]) -> dict[str, Any]:
        """Return the kind's own measures of labels against people's, with intervals, as plain data."""

    def config(self) -> dict[str, Any]:
        """Return the settings."""
        told = {name: value for name, value in vars(self).items() if name not in ("fields", "variants", "classes")}
        return {"kind": self.name, **{name: value for name, value in told.items() if not name.startswith("_")}}


def mixed(opinions: Sequence[Opinion | None], *, alone: bool = True) -> dict[Any, float]:
    """Return each value's share over answers; those that could not be read count for nothing but the total.

    Answers weigh as much as they are probable, where that is known of all. Of one answer alone its probability is the
    share, unless `alone` is false.
    """
    there = [one for one in opinions if one is not None]
    weights = [one.weight for one in there]
    known = [weight for weight in weights if weight is not None]
    if len(known) < len(there) or not sum(known):
        known = [1.0] * len(there)
    elif len(opinions) > 1 or not alone:
        known = [weight * len(there) / sum(known) for weight in known]
    found: dict[Any, float] = {}
    for one, weight in zip(there, known, strict=True):
        for value, share in one.shares.items():
            found[value] = found.get(value, 0.0) + share * weight / len(opinions)
    return found


def ranked(shares: Mapping[Any, float]) -> tuple[tuple[Any, float], ...]:
    """Return values with their shares, the largest first, in the order of their coming where equal."""
    return tuple(sorted(((value, min(1.0, share)) for value, share in shares.items()), key=lambda one: -one[1]))


def sole(opinions: Sequence[Opinion | None]) -> float | None:
    """Return the probability of the only answer, where there is one alone and it is known."""
    return opinions[0].weight if len(opinions) == 1 and opinions[0] is not None else None


def read_share(opinions: Sequence[Opinion | None]) -> float:
    """Return the share of answers that could be read."""
    return sum(one is not None for one in opinions) / len(opinions)


def named(labels: Sequence[str] | Mapping[str, str], least: int = 2) -> dict[str, str]:
    """Return labels with their meanings.

    Raises:
        ConfigError: too few, or an empty one.
    """
    found = dict(labels) if isinstance(labels, Mapping) else dict.fromkeys(labels, "")
    if len(found) < least or not all(isinstance(name, str) and name.strip() for name in found):
        raise ConfigError(f"`labels` needs {least} or more, none of them empty")
    return {name: str(meaning) for name, meaning in found.items()}


def text_of(row: Row, column: str) -> str:
    """Return a column's text.

    Raises:
        DataError: the row does not have it.
    """
    value = row.get(column)
    if value is None:
        raise DataError(f"a row without {column!r}; it has {', '.join(map(str, row)) or 'nothing'}")
    return value if isinstance(value, str) else str(value)
