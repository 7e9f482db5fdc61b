"""The rows of a classifier, dealt out before anything learns: copies together, each class with its share."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._groups import components
from pilotfish.rows.dedupe import near_duplicates
from pilotfish.rows.split import split

__all__ = ["Facts", "Parts", "dealt"]

Ints = NDArray[np.int64]
LEAST = 10  # rows of each class: with fewer, neither learning nor a figure means anything


@dataclass(frozen=True)
class Facts:
    """What the rows are.

    Attributes:
        learnt: rows that were learnt from.
        calibrated: rows that the calibration was fitted on.
        tested: rows that the report is about.
        good: good rows of all these.
        copies: rows that are near-duplicates of another one.
        conflicts: groups of copies of which some are good and some are not.
    """

    learnt: int
    calibrated: int
    tested: int
    good: int
    copies: int
    conflicts: int


@dataclass(frozen=True)
class Parts:
    """Places of rows.

    Attributes:
        learn: those that are learnt from.
        calibrate: those that the calibration is fitted on.
        test: those that the report is about.
        facts: how many they are.
    """

    learn: Ints
    calibrate: Ints
    test: Ints
    facts: Facts


def dealt(
    texts: Sequence[str],
    good: NDArray[np.bool_],
    groups: Sequence[Hashable] | None,
    *,
    held_out: float = 0.2,
    seed: int = 0,
) -> Parts:
    """Deal rows into three parts; near-duplicates (Jaccard .8, of character trigrams) and groups stay together.

    Raises:
        ConfigError: `held_out` leaves nothing.
        DataError: too few rows of a class, or not a group a text.
    """
    if not 0.02 <= held_out <= 0.5:
        raise ConfigError(f"held_out is a share from 0.02 to 0.5, not {held_out:g}")
    for name, count in (("good", int(good.sum())), ("other", int((~good).sum()))):
        if count < LEAST:
            raise DataError(f"a quality classifier needs at least {LEAST} texts of each kind: {count} are {name}")
    if groups is not None and len(groups) != len(texts):
        raise DataError(f"{len(texts)} texts but {len(groups)} groups")
    found = near_duplicates(texts, labels=good.tolist())
    of = found.group
    if groups is not None:
        # Texts that share a group or a copy go together, and what those share with others too.
        first: dict[Hashable, int] = {}
        same = np.array([first.setdefault(group, place) for place, group in enumerate(groups)], np.int64)
        here = np.arange(len(texts), dtype=np.int64)
        of = components(len(texts), np.concatenate([of, same]), np.concatenate([here, here]))
    shares = {"learn": 1 - 1.5 * held_out, "calibrate": held_out / 2, "test": held_out}
    deal = split(len(texts), shares, seed, stratify=good.tolist(), group=of)
    for name, part in deal.items():
        if not 0 < good[part].sum() < len(part):
            raise DataError(
                f"the rows to {name} are of one kind only: too few rows, or too few groups, to hold any out"
            )
    facts = Facts(
        learnt=len(deal["learn"]),
        calibrated=len(deal["calibrate"]),
        tested=len(deal["test"]),
        good=int(good.sum()),
        copies=len(found.removed),
        conflicts=len(found.conflicts),
    )
    return Parts(deal["learn"], deal["calibrate"], deal["test"], facts)
