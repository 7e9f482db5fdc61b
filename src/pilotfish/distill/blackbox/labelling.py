"""A label student taught, saved and measured: on people's labels held out, beside one that had no teacher.

For example::

    said = labelled(texts, Labeller(large, labels), labels, "said")
    told = teach_labels(texts, gold, said, lambda alone: LinearStudent(TfidfFeatures(), alpha=1.0 if alone else 0.5),
                        "taught", settings="tf-idf, 0.5")
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.distill.blackbox.students import BagStudent, EncoderStudent, LinearStudent, TeacherLabels, TreeStudent
from pilotfish.distill.rows import keyed
from pilotfish.measure.intervals import Interval, paired_score, wilson
from pilotfish.rows.asking import Bill
from pilotfish.rows.split import split
from pilotfish.train.folder import digest, finished, write_report
from pilotfish.train.processes import is_main, wait

__all__ = ["RUN", "LabelsTaught", "Student", "teach_labels"]

Student = LinearStudent | TreeStudent | EncoderStudent | BagStudent
REPORT = "pilotfish-labelled.json"
RUN = "run"  # of a run that has not ended: a student's own checkpoints may lie there


@dataclass(frozen=True)
class LabelsTaught:
    """What came of it.

    Attributes:
        folder: the student's.
        classes: the labels, sorted.
        gold: rows with people's labels that it learnt from.
        calibrated: further ones, on which it was calibrated.
        taught: rows with the teacher's.
        missing: kind of reason -> rows that the teacher gave no label.
        alpha: the share of people's labels in the loss.
        tried: each alpha that was tried -> the log-loss of people's labels, in nats a row, over folds.
        held_out: rows with people's labels that it is measured on; neither they nor copies of them taught it anything.
        accuracy: on those; None without any.
        alone: of a student that learnt from people's labels only.
        gain: the difference of the two, paired.
        seconds: spent on fitting.
        bill: what the teacher took, over all sessions.
    """

    folder: str
    classes: list[str]
    gold: int
    calibrated: int
    taught: int
    missing: dict[str, int]
    alpha: float
    tried: dict[str, float]
    held_out: int
    accuracy: Interval | None
    alone: Interval | None
    gain: Interval | None
    seconds: float
    bill: Bill

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> LabelsTaught:
        """Return what `to_json` gave."""
        spans = {name: None if told[name] is None else Interval(**told[name]) for name in _SPANS}
        return cls(**{**told, **spans, "bill": Bill(**told["bill"])})

    def __str__(self) -> str:
        cost = "cost unknown" if self.bill.cost is None else f"${self.bill.cost:,.4f}"
        people = self.gold + self.calibrated
        told = f"{self.folder}: {len(self.classes)} labels, {people:,} rows labelled by people, {self.taught:,} by "
        told += f"the teacher ({cost}, {self.bill.calls:,} calls), alpha {self.alpha:g}"
        for reason, count in self.missing.items():
            told += f"; {count:,} without a label ({reason})"
        if self.accuracy is None:
            return f"{told}; none of people's labels held out, so nothing is measured"
        told += f"; on {self.held_out:,} held-out rows right {self.accuracy:.3f}"
        if self.alone is None or self.gain is None:
            return told
        return told + f", from people's labels alone {self.alone:.3f}, gain {self.gain:.3f}"


_SPANS = ("accuracy", "alone", "gain")


def teach_labels(
    inputs: Sequence[Any],
    gold: Sequence[str | None],
    teacher: TeacherLabels,
    student: Callable[[bool], Student],
    out: str | Path,
    *,
    settings: Any,
    held_out: float = 0.1,
    seed: int = 0,
) -> LabelsTaught:
    """Fit a student on people's labels and the teacher's, save it, and measure it beside one of people's labels alone.

    A finished run is not repeated.

    Args:
        inputs: texts, or rows for trees.
        gold: people's labels, one an input, None where there is none.
        teacher: the teacher's of the same inputs.
        student: makes a student; called with True for the one that has people's labels only (alpha 1).
        out: the folder to write; one with a `save` of its own kind of student.
        settings: plain data that tells students apart: another one is another run.
        held_out: the share of people's labels to measure on.
        seed: of the split.

    Raises:
        DataError: nothing to learn from, or `out` holds something else.
    """
    out = Path(out)
    keys = keyed([{"input": one} for one in inputs])
    shares = np.round(teacher.probabilities, 12).tolist()
    known = keyed([{"gold": mark, "teacher": each} for mark, each in zip(gold, shares, strict=True)])
    identity = digest([settings, held_out, seed, list(teacher.classes)], [*keys, *known])
    done = finished(out, REPORT, identity, (RUN,))
    wait()  # all processes have looked before one writes
    if done is not None:
        # What the teacher took may have come from another session since: that part is told as it stands now.
        return replace(LabelsTaught.from_json(done), bill=teacher.bill)
    if is_main():
        (out / RUN).mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    learn, test = _parts(keys, gold, held_out, seed)
    made = student(False)
    marks = [gold[i] for i in learn]
    made.fit(
        [inputs[i] for i in learn], marks, replace(teacher, probabilities=np.asarray(teacher.probabilities)[learn])
    )
    accuracy, alone, gain = _measured(made, student, inputs, gold, learn, test)
    report = LabelsTaught(
        folder=str(out),
        classes=list(made.classes_),
        gold=made.report_.gold,
        calibrated=made.report_.calibrated,
        taught=made.report_.taught,
        missing=dict(teacher.missing),
        alpha=made.report_.alpha,
        tried={f"{alpha:g}": loss for alpha, loss in made.report_.tried.items()},
        held_out=len(test),
        accuracy=accuracy,
        alone=alone,
        gain=gain,
        seconds=time.perf_counter() - began,
        bill=teacher.bill,
    )
    if is_main():
        made.save(out)
    write_report(out, REPORT, identity, report.to_json())
    if is_main():
        shutil.rmtree(out / RUN, ignore_errors=True)
    return report


def _parts(
    keys: Sequence[str], gold: Sequence[str | None], share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to learn from and those to measure on; copies of the latter are in neither."""
    marked = np.array([i for i, mark in enumerate(gold) if mark is not None], dtype=np.int64)
    test = np.zeros(0, dtype=np.int64)
    if round(share * len(marked)) >= 1:
        labels, groups = [str(gold[int(i)]) for i in marked], [keys[int(i)] for i in marked]
        parts = split(len(marked), {"train": 1 - share, "test": share}, seed, stratify=labels, group=groups)
        test = marked[parts["test"]]
    away = {keys[int(i)] for i in test}
    return np.array([i for i, key in enumerate(keys) if key not in away], dtype=np.int64), test


def _measured(
    made: Student,
    student: Callable[[bool], Student],
    inputs: Sequence[Any],
    gold: Sequence[str | None],
    learn: NDArray[np.int64],
    test: NDArray[np.int64],
) -> tuple[Interval | None, Interval | None, Interval | None]:
    """Return the student's accuracy, that of people's labels alone, and the difference, each where it can be had."""
    if not len(test):
        return None, None, None
    asked, truth = [inputs[i] for i in test], [gold[i] for i in test]
    right = np.array([a == b for a, b in zip(made.predict(asked), truth, strict=True)], dtype=float)
    accuracy = wilson(int(right.sum()), len(right))
    own = [i for i in learn if gold[i] is not None]
    if len({gold[i] for i in own}) < 2:
        return accuracy, None, None  # of one label there is nothing to tell apart
    alone = student(True).fit([inputs[i] for i in own], [gold[i] for i in own])
    before = np.array([a == b for a, b in zip(alone.predict(asked), truth, strict=True)], dtype=float)
    return accuracy, wilson(int(before.sum()), len(before)), paired_score(right, before)
