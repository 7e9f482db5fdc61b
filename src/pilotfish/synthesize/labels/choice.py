"""Classification: one of n labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pilotfish.errors import DataError
from pilotfish.measure.intervals import bootstrap, wilson
from pilotfish.measure.metrics import macro_f1
from pilotfish.rows._row import Row
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.labels.kind import Joined, Kind, Opinion, mixed, named, ranked

__all__ = ["Choice"]


class Choice(Kind):
    """One of n labels.

    Args:
        labels: the labels, or label -> what it means.
        text: the column that is labelled, or several.
    """

    name = "choice"
    template = "label_choice"

    def __init__(self, labels: Sequence[str] | Mapping[str, str], text: str | Sequence[str] = "text") -> None:
        super().__init__(text)
        self.labels = named(labels)
        self.classes = tuple(self.labels)
        self.fields = Fields({"label": list(self.labels)})

    def places(self, variant: str) -> dict[str, Any]:
        """See `Kind`."""
        return {"labels": self.labels}

    def choices(self, variant: str) -> Mapping[str, Any]:
        """See `Kind`."""
        return {name: name for name in self.labels}

    def told(self, value: Any, variant: str) -> dict[str, Any]:
        """See `Kind`."""
        return {"label": value}

    def read(self, answer: Row, row: Row, variant: str) -> str:
        """See `Kind`."""
        return str(answer["label"])

    def value(self, given: Any, row: Row) -> str:
        """See `Kind`."""
        if str(given) not in self.labels:
            raise DataError(f"{given!r} is none of the labels {', '.join(self.labels)}")
        return str(given)

    def join(self, opinions: Mapping[str, Sequence[Opinion | None]]) -> Joined:
        """See `Kind`."""
        shares = ranked(mixed(opinions[""]))
        return Joined(shares[0][0], shares[0][1], shares)

    def figures(self, values: Sequence[Any], gold: Sequence[Any]) -> dict[str, Any]:
        """Return accuracy (Wilson) and macro-F1 (bootstrap)."""
        return class_figures(values, gold)


def class_figures(values: Sequence[Any], gold: Sequence[Any]) -> dict[str, Any]:
    """Return accuracy and macro-F1 with their intervals."""
    right = sum(value == truth for value, truth in zip(values, gold, strict=True))
    pairs = np.array(list(zip(gold, values, strict=True)), dtype=object)
    f1 = bootstrap(pairs, lambda rows: macro_f1(list(rows[:, 0]), list(rows[:, 1])), resamples=1000)
    return {"accuracy": wilson(right, len(gold)).to_json(), "macro_f1": f1.to_json()}
