"""A linear softmax head over features: multinomial logistic regression with a temperature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.errors import DataError, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FORMAT = 1


class SoftmaxHead:
    """Multinomial logistic regression with L2 penalty 1/(2C), and temperature scaling (Guo et al. 2017, section 4.2).

    scikit-learn's contract: `fit` returns self and learned attributes end in `_`. Fitting needs the extra `train`;
    a saved head predicts with numpy alone.

    Args:
        c: the inverse of the penalty's strength.
        max_iter: the most L-BFGS steps.

    Attributes:
        classes_: the labels, sorted.
        coef_: (classes, features) float32.
        intercept_: (classes,) float32.
        temperature_: what the logits are divided by; 1 until `calibrate`.
    """

    def __init__(self, c: float = 10.0, max_iter: int = 1000) -> None:
        self.c = c
        self.max_iter = max_iter

    def fit(self, x: Any, y: Sequence[str], sample_weight: NDArray[np.float64] | None = None) -> SoftmaxHead:
        """Fit on features (rows, features), dense or scipy sparse, and labels (rows,).

        Raises:
            DataError: fewer than two classes.
        """
        linear = need("sklearn.linear_model", "train")
        labels = np.asarray([str(label) for label in y], dtype=object)
        if len(set(labels)) < 2:
            raise DataError("a classifier needs at least two classes among its training rows")
        model = linear.LogisticRegression(C=self.c, max_iter=self.max_iter)
        model.fit(x, labels, sample_weight=sample_weight)
        coef, intercept = model.coef_, model.intercept_
        if len(model.classes_) == 2:  # one row for two classes: the other row is zero
            coef = np.vstack([np.zeros_like(coef), coef])
            intercept = np.concatenate([[0.0], intercept])
        self.classes_: list[str] = [str(label) for label in model.classes_]
        # safetensors writes an array's memory as it lies, and scikit-learn's may lie by columns.
        self.coef_: NDArray[np.float32] = np.ascontiguousarray(coef, dtype=np.float32)
        self.intercept_: NDArray[np.float32] = intercept.astype(np.float32)
        self.temperature_ = 1.0
        return self

    def calibrate(self, x: Any, y: Sequence[str]) -> SoftmaxHead:
        """Set the temperature that minimises the negative log-likelihood of rows that fitting did not see.

        Rows whose label the head does not know are left out; with none left the temperature stays.
        """
        index = {label: i for i, label in enumerate(self.classes_)}
        known = [i for i, label in enumerate(y) if str(label) in index]
        if known:
            targets = np.array([index[str(y[i])] for i in known])
            self.temperature_ = fit_temperature(self.decision_function(x)[known] * self.temperature_, targets)
        return self

    def decision_function(self, x: Any) -> NDArray[np.float64]:
        """Return the logits divided by the temperature: (rows, classes)."""
        logits = np.asarray(x @ self.coef_.T, dtype=np.float64) + self.intercept_
        return logits / self.temperature_

    def predict_proba(self, x: Any) -> NDArray[np.float64]:
        """Return probabilities in the order of `classes_`: (rows, classes)."""
        return softmax(self.decision_function(x))

    def predict(self, x: Any) -> list[str]:
        """Return the likeliest label of each row."""
        return [self.classes_[i] for i in self.decision_function(x).argmax(axis=1)]

    def save(self, folder: Path) -> None:
        """Write head.safetensors and head.json."""
        numpy_files = need("safetensors.numpy", "local")
        folder.mkdir(parents=True, exist_ok=True)
        numpy_files.save_file({"coef": self.coef_, "intercept": self.intercept_}, folder / "head.safetensors")
        facts = {"format": FORMAT, "classes": self.classes_, "temperature": self.temperature_, "c": self.c}
        (folder / "head.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> SoftmaxHead:
        """Read what `save` wrote.

        Raises:
            ModelError: the folder holds no head, a damaged one, or one of a later format.
        """
        with reading(folder, "classifier head"):
            facts = facts_in(folder / "head.json", "classifier head", FORMAT)
            tensors = need("safetensors.numpy", "local").load_file(folder / "head.safetensors")
            head = cls(c=float(facts["c"]))
            head.classes_ = [str(label) for label in facts["classes"]]
            head.coef_, head.intercept_ = tensors["coef"], tensors["intercept"]
            head.temperature_ = float(facts["temperature"])
        classes = len(head.classes_)
        if head.coef_.ndim != 2 or head.coef_.shape[0] != classes or head.intercept_.shape != (classes,):
            shapes = f"{head.coef_.shape} and {head.intercept_.shape}"
            raise ModelError(f"{folder}: a damaged classifier head: arrays of {shapes} for {classes} classes")
        if not (np.isfinite(head.temperature_) and head.temperature_ > 0):
            raise ModelError(f"{folder}: a damaged classifier head: its temperature is {head.temperature_}")
        return head


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return exp(logits) normalised over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def fit_temperature(logits: NDArray[np.float64], targets: NDArray[np.int_]) -> float:
    """Return the T > 0 that minimises the mean negative log-likelihood of softmax(logits / T); 0.05 to 20.

    The loss is convex in 1/T, so golden-section search on log T finds its one minimum.
    """
    best = logits[np.arange(len(targets)), targets]

    def loss(log_t: float) -> float:
        scaled = logits / np.exp(log_t)
        top = scaled.max(axis=1)
        return float(np.mean(top + np.log(np.exp(scaled - top[:, None]).sum(axis=1)) - best / np.exp(log_t)))

    low, high = np.log(0.05), np.log(20.0)
    golden = (np.sqrt(5) - 1) / 2
    a, b = high - golden * (high - low), low + golden * (high - low)
    at_a, at_b = loss(a), loss(b)
    while high - low > 1e-4:
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - golden * (high - low)
            at_a = loss(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + golden * (high - low)
            at_b = loss(b)
    return float(np.exp((low + high) / 2))
