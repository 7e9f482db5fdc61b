"""A classifier of sentences from rows, with its report: what `Toxic` goes by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pilotfish.errors import DataError
from pilotfish.measure.curve import area_interval
from pilotfish.measure.intervals import Interval, bootstrap
from pilotfish.models.classify.classifier import TextClassifier
from pilotfish.models.classify.features import Features, TfidfFeatures
from pilotfish.rows.dedupe import near_duplicates
from pilotfish.rows.split import split

__all__ = ["SentencesReport", "taught_sentences"]


@dataclass(frozen=True)
class SentencesReport:
    """How well labels are told on texts that were kept out.

    Attributes:
        learnt, tested: texts.
        copies: near-duplicates among all of them; none of a tested text was learnt from.
        areas: label -> area under the ROC curve, ours and a TF-IDF classifier's.
        f1: label -> F1, likewise.
    """

    learnt: int
    tested: int
    copies: int
    areas: dict[str, tuple[Interval, Interval]]
    f1: dict[str, tuple[Interval, Interval]]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        pairs = {
            name: {label: [one.to_json() for one in both] for label, both in getattr(self, name).items()}
            for name in ("areas", "f1")
        }
        return {"learnt": self.learnt, "tested": self.tested, "copies": self.copies, **pairs}

    def __str__(self) -> str:
        head = f"{self.learnt:,} texts learnt from, {self.tested:,} tested, {self.copies:,} copies"
        lines = [
            f"{label}: area {area[0]} (tf-idf {area[1]}), F1 {self.f1[label][0]} (tf-idf {self.f1[label][1]})"
            for label, area in self.areas.items()
        ]
        return "\n".join([head, *lines])


def taught_sentences(
    texts: Sequence[str], labels: Sequence[str], features: Features, *, test: float = 0.2, seed: int = 0
) -> tuple[TextClassifier, SentencesReport]:
    """Teach a classifier on a share of the texts, and report on the others beside one by TF-IDF.

    Args:
        texts: what to learn from.
        labels: one a text.
        features: that its head stands on.
        test: share of the texts that is kept out, copies of a text with it.
        seed: of the split.

    Raises:
        DataError: fewer than two labels, or one that is on one side only.
    """
    if len(set(labels)) < 2:
        raise DataError("a classifier of sentences needs rows of two labels at least")
    alike = near_duplicates(texts)
    parts = split(len(texts), {"train": 1 - test, "test": test}, seed, stratify=labels, group=alike.group.tolist())
    learn, on = ([(texts[at], labels[at]) for at in parts[name].tolist()] for name in ("train", "test"))
    for label in sorted(set(labels)):
        if any(label not in {one for _, one in side} for side in (learn, on)):
            raise DataError(f"too few texts with the label {label!r} to learn from some and test on others")
    ours, plain = (
        TextClassifier(one).fit([text for text, _ in learn], [label for _, label in learn])
        for one in (features, TfidfFeatures())
    )
    asked, truth = [text for text, _ in on], np.array([label for _, label in on], dtype=object)
    areas, f1 = {}, {}
    told = [(one.classes_, one.predict_proba(asked)) for one in (ours, plain)]
    for label in ours.classes_:
        scores = [table[:, classes.index(label)] for classes, table in told]
        said = [np.array(classes, dtype=object)[table.argmax(axis=1)] == label for classes, table in told]
        areas[label] = (area_interval(scores[0], truth == label), area_interval(scores[1], truth == label))
        f1[label] = (_f1(truth == label, said[0], seed), _f1(truth == label, said[1], seed))
    return ours, SentencesReport(len(learn), len(on), len(alike.removed), areas, f1)


def _f1(truth: Any, said: Any, seed: int) -> Interval:
    counts = np.stack([truth & said, ~truth & said, truth & ~said], axis=1).astype(np.float64)

    def statistic(rows: Any) -> float:
        both, extra, missed = rows.sum(axis=0)
        return float(2 * both / max(2 * both + extra + missed, 1e-12))

    return bootstrap(counts, statistic, resamples=1000, method="percentile", seed=seed)
