"""What sources share that people's labels of a part teach: a domain, a view of the columns, a few classes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.rows._row import Row
from pilotfish.supervise.sources.base import Said, Source
from pilotfish.supervise.sources.scope import Scope

__all__ = ["Taught"]


class Taught(Source):
    """Learns on the rows of its scope, and abstains outside.

    Args:
        name: in reports.
        columns: what it reads: its view of a row of several columns.
        classes: the labels that it is for; of the others it knows only that they are others, and it abstains where
            that is likeliest. None for all.
        scope: as `Source`.
        least: as `Source`.

    Attributes:
        rows_: how many rows it learnt from.
    """

    OTHER = "\x00other"

    def __init__(
        self,
        name: str,
        columns: Sequence[str],
        *,
        classes: Sequence[str] | None = None,
        scope: Scope | None = None,
        least: float = 0.0,
    ) -> None:
        super().__init__(name, scope=scope, least=least)
        self.columns = list(columns)
        self.classes = None if classes is None else list(classes)

    def fit(self, rows: Sequence[Row], labels: Sequence[str]) -> Self:
        """Learn from the rows that are in its scope.

        Raises:
            DataError: none of them is, or they are of one class only.
        """
        mine = range(len(rows)) if self.scope is None else [i for i, own in enumerate(self.scope.of(rows)) if own]
        known = [str(labels[i]) for i in mine]
        told = [one if self.classes is None or one in self.classes else self.OTHER for one in known]
        if len(set(told)) < 2:
            raise DataError(
                f"{self.name}: {len(told)} rows of its own, of {len(set(told))} classes: nothing to tell apart"
            )
        self._learn([rows[i] for i in mine], [i + 1 for i in mine], told)
        self.rows_ = len(told)
        return self

    @abstractmethod
    def _learn(self, rows: Sequence[Row], numbers: Sequence[int], labels: Sequence[str]) -> None:
        """Learn from its own rows."""

    @abstractmethod
    def _shares(self, rows: Sequence[Row], numbers: Sequence[int]) -> tuple[Sequence[str], NDArray[Any]]:
        """Return the labels that it learnt, and (rows, labels) how likely each is."""

    def say(self, rows: Sequence[Row], numbers: Sequence[int], folder: Path | None) -> Iterable[Said]:
        """Return the shares of its labels, given that it is one of them."""
        names, found = self._shares(rows, numbers)
        for shares in found:
            if names[int(shares.argmax())] == self.OTHER:
                yield None
            else:
                yield {name: float(share) for name, share in zip(names, shares, strict=True) if name != self.OTHER}
