"""What can be explained: classes and their probabilities of texts; and how strongly a class is held to, in log-odds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import DataError, ModelError
from pilotfish.models.classify import ClassifierModel, Labeller, TextClassifier

__all__ = ["LabellerReads", "Reads", "contrast", "logits_of", "reads_of"]

Floats = NDArray[np.float64]
_LEAST = 1e-12


class Reads(Protocol):
    """Texts in, probabilities out; `TextClassifier` is one."""

    @property
    def classes_(self) -> list[str]:
        """The classes, two or more."""

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """Return (texts, classes)."""


class LabellerReads:
    """A language model that is asked for one of some labels, read by the labels' log-probabilities.

    Args:
        labeller: over a model whose weights are here.

    Raises:
        ModelError: a black box, which gives an answer and no probabilities.
    """

    def __init__(self, labeller: Labeller) -> None:
        if not labeller.white_box:
            raise ModelError(f"{labeller.model.name} tells no probabilities of labels: it cannot be explained")
        self.labeller = labeller

    @property
    def classes_(self) -> list[str]:
        """The labels."""
        return list(self.labeller.labels)

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """Return (texts, labels)."""
        if not texts:
            return np.zeros((0, len(self.classes_)))
        found = self.labeller.predict(texts).logprobs
        assert found is not None, "its weights are here"
        return np.exp(found)


def reads_of(model: Any) -> Reads:
    """Return what reads texts of a classifier, of one as a Model, or of a labeller.

    Raises:
        ModelError: another kind of model.
    """
    if isinstance(model, ClassifierModel):
        return model.classifier
    if isinstance(model, Labeller):
        return LabellerReads(model)
    if isinstance(model, TextClassifier | LabellerReads):
        return model
    raise ModelError(f"a {type(model).__name__} is no classifier of texts that can be explained")


def contrast(classes: int, said: int) -> Floats:
    """Return (classes,) by which logits become how strongly a class is held to.

    That is its logit less the mean of the others'; of two classes the log-odds. Log-probabilities give the same, for
    what is added to all logits goes.

    Raises:
        DataError: fewer than two classes.
    """
    if classes < 2:
        raise DataError("what one class is held against is another: there must be two")
    found = np.full(classes, -1.0 / (classes - 1))
    found[said] = 1.0
    return found


def logits_of(reads: Reads, texts: Sequence[str]) -> Floats:
    """Return log-probabilities (texts, classes), none below that of 1e-12."""
    return np.log(np.maximum(reads.predict_proba(texts), _LEAST))
