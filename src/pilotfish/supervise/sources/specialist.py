"""A small text classifier that is taught people's labels of a part: a domain, a view of the columns, a few classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pilotfish.models.classify import SoftmaxHead, TextClassifier
from pilotfish.rows._row import Row
from pilotfish.supervise.sources.scope import Scope, column_of
from pilotfish.supervise.sources.taught import Taught

if TYPE_CHECKING:
    from pilotfish.models.classify import Features

__all__ = ["Specialist"]


class Specialist(Taught):
    """Features of a text and a linear head.

    Args:
        features: of a text: its view of the row.
        name: as `Taught`.
        columns: what it reads, joined by line breaks.
        classes: as `Taught`.
        c: the inverse of the head's penalty.
        scope: as `Source`.
        least: as `Source`.

    Attributes:
        classifier_: what it learnt.
    """

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
        super().__init__(name, columns, classes=classes, scope=scope, least=least)
        self.features, self.c = features, c

    def _learn(self, rows: Sequence[Row], numbers: Sequence[int], labels: Sequence[str]) -> None:
        self.classifier_ = TextClassifier(self.features, SoftmaxHead(self.c))
        self.classifier_.fit(self._texts(rows, numbers), labels)

    def _shares(self, rows: Sequence[Row], numbers: Sequence[int]) -> tuple[Sequence[str], NDArray[Any]]:
        return self.classifier_.classes_, self.classifier_.predict_proba(self._texts(rows, numbers))

    def _texts(self, rows: Sequence[Row], numbers: Sequence[int]) -> list[str]:
        parts = [column_of(rows, name, numbers) for name in self.columns]
        return ["\n".join(one) for one in zip(*parts, strict=True)]
