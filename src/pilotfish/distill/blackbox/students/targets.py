"""What a label student learns from: people's labels where there are any, the teacher's beside them.

Source: Hinton et al. 2015, section 2: the loss of a row is alpha CE(gold) + (1 - alpha) T^2 KL(teacher || student),
both at temperature T in the second part, whose T^2 keeps its gradient's size whatever T is.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.models.classify.labelled import TeacherLabels
from pilotfish.rows.split import split

__all__ = ["Parts", "Targets", "parts_of", "targets_of"]


@dataclass(frozen=True)
class Targets:
    """Targets of rows.

    Attributes:
        classes: the labels, sorted.
        gold: (rows,) the class that people gave; -1 where none.
        soft: (rows, classes) the teacher's probabilities; zeros where it gave none.
        taught: (rows,) whether the teacher gave any.
    """

    classes: tuple[str, ...]
    gold: NDArray[np.int64]
    soft: NDArray[np.float64]
    taught: NDArray[np.bool_]

    def at(self, rows: NDArray[np.int64]) -> Targets:
        """Return the targets of some rows."""
        return replace(self, gold=self.gold[rows], soft=self.soft[rows], taught=self.taught[rows])

    def shares(self, alpha: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what each row's two losses count: (rows,) and (rows,), 0 where there is no such label."""
        return alpha * (self.gold >= 0).astype(np.float64), (1 - alpha) * self.taught.astype(np.float64)

    def softened(self, temperature: float) -> NDArray[np.float64]:
        """Return the teacher's probabilities at a temperature: p^(1/T), normalised; zeros where there are none."""
        if temperature == 1:
            return self.soft
        # Of the largest, so that no power of small numbers ends at zero.
        top = self.soft.max(axis=1, keepdims=True)
        powers = (self.soft / np.where(top > 0, top, 1.0)) ** (1 / temperature)
        sums = powers.sum(axis=1, keepdims=True)
        return np.asarray(powers / np.where(sums > 0, sums, 1.0))


def targets_of(count: int, gold: Sequence[str | None] | None, teacher: TeacherLabels | None) -> Targets:
    """Return the targets of so many rows.

    Raises:
        DataError: not one label a row, no labels at all, or fewer than two classes.
    """
    people = list(gold) if gold is not None else [None] * count
    if len(people) != count or (teacher is not None and len(teacher.probabilities) != count):
        raise DataError(f"{count} rows need as many labels (None where there is none)")
    named = {str(label) for label in people if label is not None}
    classes = tuple(sorted(named | set(teacher.classes if teacher is not None else ())))
    if len(classes) < 2:
        raise DataError(f"a classifier needs at least two classes among its labels; there are {len(classes)}")
    index = {label: i for i, label in enumerate(classes)}
    soft = np.zeros((count, len(classes)))
    taught = np.zeros(count, dtype=np.bool_)
    if teacher is not None:
        taught = teacher.known
        columns = np.array([index[name] for name in teacher.classes], dtype=np.int64)
        soft[np.flatnonzero(taught)[:, None], columns] = teacher.probabilities[taught]
    marks = np.array([-1 if label is None else index[str(label)] for label in people], dtype=np.int64)
    if not taught.any() and (marks < 0).all():
        raise DataError("no row has a label, of people or of the teacher")
    return Targets(classes, marks, soft, taught)


@dataclass(frozen=True)
class Parts:
    """Rows to learn from and rows with people's labels to calibrate on; no text is in both."""

    learn: NDArray[np.int64]
    calibrate: NDArray[np.int64]


def parts_of(keys: Sequence[Hashable], targets: Targets, share: float, seed: int) -> Parts:
    """Split before anything learns: a share of the rows with people's labels is kept back.

    Copies of a row stay together, and those of a row that is kept back are not learnt from, whoever labelled them.
    Where fewer than two rows would be kept back, none is.
    """
    gold = np.flatnonzero(targets.gold >= 0)
    held = np.zeros(0, dtype=np.int64)
    if share > 0 and round(share * len(gold)) >= 2:
        parts = split(
            len(gold),
            {"train": 1 - share, "calibrate": share},
            seed,
            stratify=targets.gold[gold].tolist(),
            group=[keys[int(i)] for i in gold],
        )
        held = gold[parts["calibrate"]]
    away = {keys[int(i)] for i in held}
    usable = (targets.gold >= 0) | targets.taught
    learn = [i for i in range(len(keys)) if usable[i] and keys[i] not in away]
    return Parts(np.array(learn, dtype=np.int64), held)
