"""What every source shares: a name, the rows it is for, the classes it may say, and abstaining."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError, did_you_mean
from pilotfish.measure.votes import Votes
from pilotfish.rows._row import Row
from pilotfish.supervise.sources.scope import Scope

__all__ = ["Said", "Source", "votes_of"]

Floats = NDArray[np.float64]
# What a source says of one row: nothing, a label, or shares of several.
Said = str | Mapping[str, float] | None


class Source(ABC):
    """Says what it thinks of rows, or nothing.

    Args:
        name: in reports.
        scope: the rows it is for; it abstains on all others. None for every row.
        least: it abstains where its likeliest label has a smaller share.
    """

    def __init__(self, name: str, *, scope: Scope | None = None, least: float = 0.0) -> None:
        if not name:
            raise ConfigError("a source needs a name")
        if not 0 <= least <= 1:
            raise ConfigError(f"{name}: least is a share, not {least}")
        self.name, self.scope, self.least = name, scope, least

    @abstractmethod
    def say(self, rows: Sequence[Row], numbers: Sequence[int], folder: Path | None) -> Iterable[Said]:
        """Return what it says of each of these rows, which are in its scope.

        Args:
            rows: some of all.
            numbers: what they are called in errors.
            folder: for what is paid for; None asks anew.
        """

    def votes(self, rows: Sequence[Row], classes: Sequence[str], folder: Path | None = None) -> Floats:
        """Return (rows, classes) shares, NaN where it abstains.

        Raises:
            DataError: it says a label that is no class, or a row lacks a column.
        """
        found = np.full((len(rows), len(classes)), np.nan)
        code = {label: at for at, label in enumerate(classes)}
        mine: list[int] = list(range(len(rows))) if self.scope is None else np.flatnonzero(self.scope.of(rows)).tolist()
        if not mine:
            return found
        for place, said in zip(mine, self.say([rows[i] for i in mine], [i + 1 for i in mine], folder), strict=True):
            if said is None:
                continue
            shares = {said: 1.0} if isinstance(said, str) else said
            for label in shares:
                if label not in code:
                    known = did_you_mean(str(label), [str(one) for one in classes])
                    raise DataError(f"{self.name}, row {place + 1}: {label!r} is none of the classes{known}")
            total = sum(shares.values())
            if total <= 0 or max(shares.values()) / total < self.least:
                continue
            found[place] = 0.0
            for label, share in shares.items():
                found[place, code[label]] = share / total
        return found


def votes_of(
    sources: Sequence[Source],
    rows: Sequence[Row],
    classes: Sequence[str],
    folder: str | Path | None = None,
) -> Votes:
    """Return what sources say of rows; a row that none has a word on is there without votes.

    Args:
        sources: each by another name.
        rows: what they look at.
        classes: the labels.
        folder: for what is paid for, each source in its own; None asks anew.

    Raises:
        ConfigError: no source, or two of one name.
        DataError: as `Source.votes`.
    """
    names = [source.name for source in sources]
    if not names:
        raise ConfigError("there are no sources")
    if len(set(names)) < len(names):
        raise ConfigError(f"two sources are called {next(one for one in names if names.count(one) > 1)!r}")
    where = [None if folder is None else Path(folder) / f"{at:02d}" for at in range(len(sources))]
    said = [source.votes(rows, classes, place) for source, place in zip(sources, where, strict=True)]
    return Votes.from_soft(np.stack(said, axis=1), classes=list(classes), sources=names)
