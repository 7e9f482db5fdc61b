"""What a small model says of solved examples that it did not learn from: its labels there are as sure as they will be.

Source: Xu et al. 2023 (Small Models are Valuable Plug-ins for Large Language Models), section 3. There the small model
labels the very rows that it was tuned on, where it is right nearly always and sure of it; so its errors, which the
large model is to learn to mend, are not seen. Here each row is labelled by a model that did not see it (stacking;
Wolpert 1992).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError
from pilotfish.measure.folds import folds
from pilotfish.models.classify import TextClassifier
from pilotfish.models.classify.head import fit_temperature, softmax
from pilotfish.rows._row import need_columns
from pilotfish.rows._shingles import normalised

__all__ = ["SoftDemonstration", "out_of_fold", "soft_demonstrations"]


@dataclass(frozen=True, slots=True)
class SoftDemonstration:
    """A solved example, and what a small model says of it.

    Attributes:
        text: what is labelled.
        label: the right one.
        predicted: the small model's; None where it gave none.
        confidence: its probability; None where it tells none.
    """

    text: str
    label: str
    predicted: str | None
    confidence: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a row, as `of` reads it."""
        return asdict(self)

    @classmethod
    def of(cls, row: Mapping[str, Any], number: int = 1) -> SoftDemonstration:
        """Read a row of text, label, predicted and, where there is one, confidence.

        Raises:
            DataError: a column is missing or is not what it must be; the text names the row.
        """
        need_columns(row, "text", "label", "predicted", source=f"row {number}")
        for name in ("text", "label"):
            if not isinstance(row[name], str) or not row[name].strip():
                raise DataError(f"row {number}: column {name!r} has no text")
        predicted, confidence = row["predicted"], row.get("confidence")
        if predicted is not None and not isinstance(predicted, str):
            raise DataError(f"row {number}: column 'predicted' is a label or null, not {predicted!r}")
        number_like = isinstance(confidence, int | float) and not isinstance(confidence, bool)
        if confidence is not None and not (number_like and 0 <= confidence <= 1):
            raise DataError(f"row {number}: column 'confidence' is a probability or null, not {confidence!r}")
        return cls(row["text"], row["label"], predicted, None if confidence is None else float(confidence))


def out_of_fold(
    make: Callable[[], TextClassifier],
    texts: Sequence[str],
    labels: Sequence[str],
    count: int = 5,
    seed: int = 0,
) -> tuple[list[str], NDArray[np.float64]]:
    """Return the labels, sorted, and each row's probabilities by a classifier that did not see it: (rows, labels).

    Texts that are the same after normalisation are in one fold. A label that a fold's training rows lack has the
    probability 0 there.

    Args:
        make: gives an untaught classifier.
        texts: what is labelled.
        labels: people's.
        count: of folds.
        seed: of the folds.

    Raises:
        DataError: fewer texts than folds, not as many labels, or training rows of one label alone.
    """
    if len(texts) != len(labels):
        raise DataError(f"{len(texts)} texts but {len(labels)} labels")
    classes = sorted(set(labels))
    index = {label: at for at, label in enumerate(classes)}
    found = np.zeros((len(texts), len(classes)))
    for learnt, held in folds([normalised(text) for text in texts], count, seed):
        classifier = make().fit([texts[i] for i in learnt], [labels[i] for i in learnt])
        told = classifier.predict_proba([texts[i] for i in held])
        found[np.ix_(held, np.array([index[label] for label in classifier.classes_]))] = told
    return classes, found


def soft_demonstrations(
    make: Callable[[], TextClassifier],
    texts: Sequence[str],
    labels: Sequence[str],
    count: int = 5,
    seed: int = 0,
) -> tuple[list[SoftDemonstration], TextClassifier]:
    """Return rows with what a small model says of them out of fold, and the small model, taught all of them.

    Both are as sure as the small model is right: one temperature, fitted on what it says out of fold (Guo et al. 2017),
    divides the logits of either. The arguments are those of `out_of_fold`.

    Raises:
        DataError: as `out_of_fold`.
    """
    classes, found = out_of_fold(make, texts, labels, count, seed)
    logits = np.log(found.clip(min=1e-12))
    heat = fit_temperature(logits, np.array([classes.index(label) for label in labels]))
    found = softmax(logits / heat)
    best = found.argmax(axis=1)
    made = [
        SoftDemonstration(text, label, classes[at], round(float(row[at]), 6))
        for text, label, at, row in zip(texts, labels, best.tolist(), found, strict=True)
    ]
    classifier = make().fit(texts, labels)
    classifier.head.temperature_ *= heat
    return made, classifier
