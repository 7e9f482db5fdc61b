"""What a synthesis is made of: a recipe that asks and reads, and checks that say which rows are worth keeping."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Reply, Request
from pilotfish.models.calls import Failure
from pilotfish.rows._row import Row

__all__ = ["Check", "Made", "Prompt", "Recipe", "Unread"]


@dataclass(frozen=True)
class Prompt:
    """One question to the large model.

    Attributes:
        request: what is asked. Of two samples of one request, each has its number in `metadata["sample"]`.
        facts: what was drawn for it (a label, attributes, the parent's row): it goes with every row that is made of it.
        template: the name and version of the template that it was written by.
    """

    request: Request
    facts: Mapping[str, Any] = field(default_factory=dict)
    template: str = ""


@dataclass(frozen=True)
class Unread:
    """A part of a reply that is no row, or is none to keep.

    Attributes:
        reason: why not, in words that begin with the kind of reason and a colon, or are it.
        raw: the part as it stands; None where there was no reply.
        again: whether another run would ask again.
        part: whether it stands where a row would; False where a whole reply holds none, or there was no reply.
    """

    reason: str
    raw: Row | str | None
    again: bool = False
    part: bool = True


@dataclass
class Made:
    """How far a synthesis has come; the same at the same point whatever was stopped and resumed.

    Attributes:
        wanted: rows to make; None for as many as come of the recipe's own rows.
        rows: those that were kept, in order; the columns of the data, without where they came from.
        facts: of each kept row.
        asked: prompts so far.
        raw: rows that were read out of replies, kept or not.
        rejected: kind of reason -> rows, or replies that no row could be read of.
        round: which round this is, from 0.
        seed: of everything that is drawn.
    """

    wanted: int | None = None
    seed: int = 0
    rows: list[Row] = field(default_factory=list)
    facts: list[Mapping[str, Any]] = field(default_factory=list)
    asked: int = 0
    raw: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    round: int = 0
    _counts: dict[str, Counter[Any]] = field(default_factory=dict, repr=False)

    def keep(self, row: Row, facts: Mapping[str, Any]) -> None:
        """Add a row that passed."""
        self.rows.append(row)
        self.facts.append(facts)
        for column, counts in self._counts.items():
            counts[_hashable(row.get(column))] += 1

    @property
    def missing(self) -> int:
        """Rows that are still wanted."""
        return 0 if self.wanted is None else max(0, self.wanted - len(self.rows))

    def short(self) -> int:
        """Return how many rows are still wanted, for a recipe that would go on for ever.

        Raises:
            ConfigError: nobody said how many are wanted.
        """
        if self.wanted is None:
            raise ConfigError("say how many rows are wanted: a recipe from scratch has no end of its own")
        return self.missing

    @property
    def kept_a_prompt(self) -> float:
        """Rows kept of a prompt, on average; 1 before the first, and never less than a twentieth."""
        return max(0.05, len(self.rows) / self.asked) if self.asked else 1.0

    def counts(self, column: str) -> Counter[Any]:
        """Return how many kept rows have each value of a column; counted once, then kept up."""
        if column not in self._counts:
            self._counts[column] = Counter(_hashable(row.get(column)) for row in self.rows)
        return self._counts[column]


class Recipe(ABC):
    """Writes prompts, round after round, and reads rows out of replies.

    One that makes its rows itself has `asks` False: nobody is asked, and each prompt is read with an empty reply.
    `calls` are how many a row takes, one made of the answer to the one before.
    """

    name: str = ""
    asks: bool = True
    calls: int = 1

    @abstractmethod
    def prompts(self, made: Made) -> Sequence[Prompt]:
        """Return the prompts of the next round; none where it has all that is wanted, or nothing more to ask.

        What is drawn follows `made.seed` and `made.round` alone, so that a run that is resumed asks the same.
        """

    @abstractmethod
    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return the rows of a reply, and the parts of it that are none.

        Raises:
            DataError: none can be read; the reply goes to the rejects as it is.
        """

    def read_round(
        self, prompts: Sequence[Prompt], replies: Sequence[Reply | Failure]
    ) -> Iterable[tuple[int, Row | Unread]]:
        """Return what all replies of a round hold, each with the number of its prompt in the round.

        One reply after the other, as `read` says; a recipe whose rows are made of several replies has its own way.
        """
        for number, (prompt, reply) in enumerate(zip(prompts, replies, strict=True)):
            if isinstance(reply, Failure):
                yield number, Unread(reply.reason, None, again=reply.again, part=False)
                continue
            try:
                read = list(self.read(prompt, reply))
            except DataError as error:
                yield number, Unread(str(error), reply.text, part=False)
                continue
            yield from ((number, one) for one in read)

    def findings(self) -> dict[str, Any]:
        """Return what the recipe has found out on the way, as plain data for the report."""
        return {}

    def beside(self) -> Mapping[str, Sequence[Row]]:
        """Return rows to write beside the kept ones, by the name of the file: what these were made of."""
        return {}

    def surplus(self, row: Row, made: Made) -> str | None:
        """Say why a good row is not needed (its class is full); None where it is."""
        return "enough rows" if made.wanted is not None and not made.missing else None

    def config(self) -> dict[str, Any]:
        """Return what decides the prompts and the reading, as plain data: by default all public attributes."""
        return {name: _plain(value) for name, value in vars(self).items() if not name.startswith("_")}


class Check(ABC):
    """Says which rows are not worth keeping, and why."""

    name: str = ""

    @abstractmethod
    async def reasons(self, rows: Sequence[Row], prompts: Sequence[Prompt], made: Made) -> Sequence[str | None]:
        """Return for each row why it goes, in words that begin with the kind of reason and a colon, or None.

        Args:
            rows: of this round, those that earlier checks have left.
            prompts: the prompt of each.
            made: what was kept in earlier rounds.
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Return what decides, as plain data."""

    def close(self) -> None:  # noqa: B027  # a hook, not a duty
        """Let go of what the check opened."""


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _plain(value: Any) -> Any:
    """Return a setting as plain data: of a template its version, of fields their schema."""
    for name in ("version", "schema"):
        if hasattr(value, name):
            return getattr(value, name)
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
