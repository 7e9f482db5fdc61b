"""Train and prove: a small classifier on synthesised rows, measured on people's labels that it never saw."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.measure.folds import folds
from pilotfish.measure.intervals import Interval, paired_score, wilson
from pilotfish.models.classify import Features, SoftmaxHead, TextClassifier
from pilotfish.rows._atomic import atomic
from pilotfish.rows._groups import joined
from pilotfish.rows._shingles import normalised
from pilotfish.rows.decontaminate import decontaminate
from pilotfish.rows.dedupe import near_duplicates

__all__ = ["Proof", "fitted", "prove"]

PENALTIES = (0.1, 1.0, 10.0, 100.0)
STUDENT = "student"
Labelled = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Proof:
    """What a student of synthesised rows can do.

    Attributes:
        folder: where it is saved; a model with use = "classifier" loads it.
        rows: rows it learnt from.
        classes: the labels, sorted.
        penalty: the inverse of the L2 penalty's strength, chosen by folds over what it learnt from.
        gold: rows with people's labels that it is measured on.
        accuracy: on those.
        alone: of a student of `few` people's labels without the synthesised rows; None without any.
        gain: the difference, paired.
        few: people's labels that both learnt from.
        contaminated: synthesised rows that were near a gold row, and so taught nothing.
        unknown: gold rows whose label no training row has.
    """

    folder: str
    rows: int
    classes: list[str]
    penalty: float
    gold: int
    accuracy: Interval
    alone: Interval | None
    gain: Interval | None
    few: int
    contaminated: int
    unknown: int

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        told = (
            f"{self.folder}: {len(self.classes)} classes of {self.rows:,} synthesised rows"
            f"{f' and {self.few:,} of people' if self.few else ''}; on {self.gold:,} rows of people right "
            f"{self.accuracy:.3f}"
        )
        if self.alone is not None and self.gain is not None:
            told += f", without the synthesised rows {self.alone:.3f}, gain {self.gain:+.3f}"
        if self.contaminated:
            told += f"; {self.contaminated:,} rows were near one of those and taught nothing"
        return f"{told}; {self.unknown:,} have a label that was never taught" if self.unknown else told


def prove(
    made: Labelled,
    gold: Labelled,
    features: Features,
    out: str | Path,
    *,
    few: Labelled = (),
    groups: Sequence[Any] | None = None,
    few_groups: Sequence[Any] | None = None,
    seed: int = 0,
) -> Proof:
    """Train a linear student on synthesised rows, save it, and measure it on gold rows.

    Rows that share an n-gram or are near a gold row are taken out first: the proof must not be of memory.

    Args:
        made: (text, label) of synthesised rows.
        gold: (text, label) of people's, to measure on.
        features: what the student stands on, such as `EncoderFeatures(encoder)`.
        out: the folder; the student goes into `student` within.
        few: people's labels to learn from beside; the student of these alone is measured, too.
        groups: of `made`, rows that belong together, such as paraphrases of one parent: folds keep them together.
        few_groups: of `few`, where the made rows are children of these; a parent has the group of its children.
        seed: of the folds.

    Raises:
        DataError: no rows to learn from or to measure on, or rows of one class only.
    """
    if not made or not gold:
        raise DataError("a proof needs synthesised rows to learn from, and rows of people to measure on")
    touched = set(decontaminate([text for text, _ in made], {"gold": [text for text, _ in gold]}).removed)
    clean = [i for i in range(len(made)) if i not in touched]
    known = {normalised(text) for text, _ in gold}
    own_at = [i for i, (text, _) in enumerate(few) if normalised(text) not in known]
    own = [few[i] for i in own_at]
    learnt = [*(made[i] for i in clean), *own]
    if len({label for _, label in learnt}) < 2:
        raise DataError("a classifier needs rows of two classes or more")
    texts, labels = [text for text, _ in learnt], [label for _, label in learnt]
    tied: list[Any] | None = None
    if groups is not None:
        tied = [("made", groups[i]) for i in clean]
        tied += [("own", i) if few_groups is None else ("made", few_groups[i]) for i in own_at]
    student, penalty = fitted(features, texts, labels, tied, seed)
    asked, truth = [text for text, _ in gold], [label for _, label in gold]
    right = _right(student, asked, truth)
    folder = Path(out) / STUDENT
    folder.mkdir(parents=True, exist_ok=True)
    student.save(folder)
    alone = gain = None
    if len({label for _, label in own}) > 1:
        before, _ = fitted(features, [text for text, _ in own], [label for _, label in own], None, seed)
        without = _right(before, asked, truth)
        alone = wilson(float(without.sum()), len(without))
        gain = paired_score(right, without)
    proof = Proof(
        folder=str(folder),
        rows=len(clean),
        classes=student.classes_,
        penalty=penalty,
        gold=len(gold),
        accuracy=wilson(float(right.sum()), len(right)),
        alone=alone,
        gain=gain,
        few=len(own),
        contaminated=len(touched),
        unknown=sum(count for label, count in Counter(truth).items() if label not in set(labels)),
    )
    with atomic(Path(out) / "proof.json") as file:
        file.write((json.dumps(proof.to_json(), indent=1) + "\n").encode())
    return proof


def _right(student: TextClassifier, texts: Sequence[str], truth: Sequence[str]) -> NDArray[np.float64]:
    return np.array([a == b for a, b in zip(student.predict(texts), truth, strict=True)], dtype=np.float64)


def fitted(
    features: Features, texts: list[str], labels: list[str], groups: Sequence[Any] | None, seed: int
) -> tuple[TextClassifier, float]:
    """Return a linear classifier with the penalty that folds prefer, and that penalty.

    Args:
        features: what it stands on.
        texts: to learn from.
        labels: of the texts.
        groups: one a text; those of a group, and near-duplicates, are never on both sides of a fold.
        seed: of the folds.
    """
    x = features.fit(texts).transform(texts)
    near = near_duplicates(texts).group
    tied = near if groups is None else _joined(near, groups)
    penalty = PENALTIES[len(PENALTIES) // 2]
    if len(set(tied.tolist())) >= 5:
        losses = dict.fromkeys(PENALTIES, 0.0)
        y = np.array(labels, dtype=object)
        for rest, out in folds(tied, 5, seed):
            if len(set(y[rest])) < 2:
                continue
            for c in PENALTIES:
                head = SoftmaxHead(c).fit(x[rest], y[rest].tolist())
                place = {label: i for i, label in enumerate(head.classes_)}
                shares = head.predict_proba(x[out])
                told = [shares[i, place[label]] if label in place else 0.0 for i, label in enumerate(y[out])]
                losses[c] -= float(np.log(np.maximum(told, 1e-6)).sum())
        penalty = min(losses, key=lambda c: losses[c])
    return TextClassifier(features, SoftmaxHead(penalty).fit(x, labels)), penalty


def _joined(near: NDArray[np.int64], groups: Sequence[Any]) -> NDArray[np.int64]:
    """Return one group a row, such that rows that share either stay together."""
    first: dict[Any, int] = {}
    firsts = [first.setdefault(group, i) for i, group in enumerate(groups)]
    return joined(near, np.arange(len(groups), dtype=np.int64), np.array(firsts, dtype=np.int64))
