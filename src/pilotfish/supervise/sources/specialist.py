"""A small classifier that is taught people's labels of a part: a domain, a view of the columns, a few classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pilotfish.errors import DataError
from pilotfish.models.classify import SoftmaxHead, TextClassifier
from pilotfish.rows._row import Row
from pilotfish.supervise.sources.base import Said, Source
from pilotfish.supervise.sources.scope import Scope, column_of

if TYPE_CHECKING:
    from pilotfish.models.classify import Features

__all__ = ["Specialist"]


class Specialist(Source):
    """Features and a head, taught on the rows of its scope; it abstains outside.

    Args:
        features: of a text: its view of the row.
        name: in reports.
        columns: what it reads, joined by line breaks: its view of a row of several columns.
        classes: the labels that it is for; of the others it knows only that they are others, and it abstains where
            that is likeliest. None for all.
        c: the inverse of the head's penalty.
        scope: as `Source`.
        least: as `Source`.

    Attributes:
        classifier_: what it learnt.
        rows_: how many rows it learnt from.
    """

    OTHER = "\x00other"

    def __init__(
        self,
        features: Features,
        name: str = "specialist",
        *,
        columns: Sequence[str] = ("text",),
        classes: Sequence[str] | None = None,
        c: float = 10.0,
        scope: Scope | None = None,
        least: float = 0.0,
    ) -> None:
        super().__init__(name, scope=scope, least=least)
        self.features, self.columns, self.c = features, list(columns), c
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
        self.classifier_ = TextClassifier(self.features, SoftmaxHead(self.c))
        self.classifier_.fit(self._texts([rows[i] for i in mine], [i + 1 for i in mine]), told)
        self.rows_ = len(told)
        return self

    def say(self, rows: Sequence[Row], numbers: Sequence[int], folder: Path | None) -> Iterable[Said]:
        """Return the shares of its labels, given that it is one of them."""
        names = self.classifier_.classes_
        for shares in self.classifier_.predict_proba(self._texts(rows, numbers)):
            if names[int(shares.argmax())] == self.OTHER:
                yield None
            else:
                yield {name: float(share) for name, share in zip(names, shares, strict=True) if name != self.OTHER}

    def config(self) -> dict[str, Any]:
        """Return what decides what it says."""
        return {**super().config(), "columns": self.columns, "classes": self.classes, "c": self.c}

    def _texts(self, rows: Sequence[Row], numbers: Sequence[int]) -> list[str]:
        parts = [column_of(rows, name, numbers) for name in self.columns]
        return ["\n".join(one) for one in zip(*parts, strict=True)]
