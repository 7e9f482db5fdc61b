"""How well mentions are linked: found among the candidates, linked right, and left alone where none is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pilotfish.compete.entities.linked import Linked
from pilotfish.errors import DataError
from pilotfish.measure.intervals import Interval, bootstrap, wilson

__all__ = ["LinkReport", "f1_of", "reported"]


@dataclass(frozen=True)
class LinkReport:
    """How well mentions were linked.

    Attributes:
        mentions: how many; `meant` of them are of an entity of the base, the others of none (NIL).
        meant: see `mentions`.
        accuracy: the share that is right, NIL counted as an answer.
        found: of those that are meant, the share whose entity is among the candidates; None without any.
        precision: of the links, the share that is right; None without a link.
        recall: of those that are meant, the share that is linked right.
        f1: of links.
        nil_precision: of those left alone, the share that is of none; None where all were linked.
        nil_recall: of those of none, the share that was left alone; None without any.
    """

    mentions: int
    meant: int
    accuracy: Interval
    found: Interval | None
    precision: Interval | None
    recall: Interval | None
    f1: Interval
    nil_precision: Interval | None
    nil_recall: Interval | None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: one.to_json() if isinstance(one, Interval) else one for name, one in told.items()}

    def __str__(self) -> str:
        shown = [f"{self.mentions:,} mentions, {self.meant:,} of an entity of the base"]
        for name in ("accuracy", "found", "precision", "recall", "f1", "nil_precision", "nil_recall"):
            value = getattr(self, name)
            shown.append(f"{name.replace('_', ' '):<14} {'-' if value is None else f'{value:.3f}'}")
        return "\n".join(shown)


def reported(linked: Sequence[Linked], golds: Sequence[str | None]) -> LinkReport:
    """Return how well mentions were linked.

    Args:
        linked: what was decided.
        golds: the id that is meant; None where it is none of the base's.

    Raises:
        DataError: no mentions.
    """
    if not linked or len(linked) != len(golds):
        raise DataError(f"{len(linked)} links and {len(golds)} answers: give one answer a mention, and one at least")
    said = [None if one.entity is None else one.entity.id for one in linked]
    right = np.array([one == gold for one, gold in zip(said, golds, strict=True)])
    made = np.array([one is not None for one in said])
    meant = np.array([gold is not None for gold in golds])
    among = np.array([gold in {c.id for c in one.candidates} for one, gold in zip(linked, golds, strict=True)])

    def share(of: Any, among: Any) -> Interval | None:
        return wilson(int((of & among).sum()), int(among.sum())) if among.any() else None

    return LinkReport(
        len(linked),
        int(meant.sum()),
        wilson(int(right.sum()), len(right)),
        share(among, meant),
        share(right, made),
        share(right, meant),
        bootstrap(np.stack([right & made, made, meant], axis=1), f1_of, method="percentile", resamples=2000),
        share(right, ~made),
        share(right, ~meant),
    )


def f1_of(rows: Any) -> float:
    """Return F1 of (rows, 3): right, made, meant; 0 where nothing is made or meant."""
    hits, made, meant = rows.sum(axis=0)
    return float(2 * hits / (made + meant)) if made + meant else 0.0
