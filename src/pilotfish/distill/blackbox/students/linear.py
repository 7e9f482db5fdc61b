"""A linear student: a softmax head over TF-IDF, an encoder's vectors or static ones, taught by labels and by shares."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.distill.blackbox.students.base import LabelStudent, Learnt
from pilotfish.distill.blackbox.students.targets import Targets
from pilotfish.errors import ConfigError
from pilotfish.models.classify import Features, SoftmaxHead, TextClassifier

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["LinearStudent", "fit_soft"]


class LinearStudent(LabelStudent):
    """Multinomial logistic regression on Hinton's loss; saved as a `TextClassifier`, which any collaboration loads.

    Args:
        features: what it stands on: `TfidfFeatures`, `EncoderFeatures`, `StaticFeatures`.
        c: the inverse of the L2 penalty's strength.
        alpha: as in `LabelStudent`.
        temperature: of the teacher's loss.
        held_out: as in `LabelStudent`.
        seed: of the split.
        max_iter: the most L-BFGS steps.
        tolerance: the relative change of the loss at which they end; 1e-7 takes a third of the time that 1e-12 takes,
            and leaves probabilities within 0.01 of their end, which does to choose by.
    """

    def __init__(
        self,
        features: Features,
        *,
        c: float = 10.0,
        alpha: float | Sequence[float] = (0.5, 0.9, 0.98, 1.0),
        temperature: float = 1.0,
        held_out: float = 0.2,
        seed: int = 0,
        max_iter: int = 1000,
        tolerance: float = 1e-12,
    ) -> None:
        super().__init__(alpha, held_out, seed)
        self.features, self.c, self.temperature = features, c, temperature
        self.max_iter, self.tolerance = max_iter, tolerance

    @property
    def classifier(self) -> TextClassifier:
        """The same thing as a classifier over texts."""
        head = SoftmaxHead(self.c)
        head.classes_, head.coef_, head.intercept_ = self.classes_, self.coef_, self.intercept_
        head.temperature_ = self.temperature_
        return TextClassifier(self.features, head)

    def save(self, folder: str | Path) -> None:
        """Write the classifier, and what it learnt from as student.json."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        facts = {"c": self.c, "report": self.report_.to_json()}
        (folder / "student.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        self.classifier.save(folder)

    @classmethod
    def load(cls, folder: str | Path, catalog: Catalog | None = None) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: the folder holds no such student, or a damaged one.
        """
        found = TextClassifier.load(folder, catalog)
        with reading(folder, "student"):
            facts = facts_in(Path(folder) / "student.json", "student")
            student = cls(found.features, c=float(facts["c"]))
            student.report_ = Learnt.from_json(facts["report"])
        head = found.head
        student.classes_, student.coef_, student.intercept_ = head.classes_, head.coef_, head.intercept_
        student.temperature_ = head.temperature_
        return student

    def _prepared(self, inputs: Sequence[Any], learn: NDArray[np.int64]) -> Any:
        self.features.fit([inputs[i] for i in learn])
        return self.features.transform(inputs)

    def _features(self, inputs: Sequence[Any]) -> Any:
        return self.features.transform(inputs)

    def _learn(self, x: Any, targets: Targets, alpha: float) -> None:
        coef, intercept = fit_soft(x, targets, alpha, self.temperature, self.c, self.max_iter, self.tolerance)
        self.coef_, self.intercept_ = coef.astype(np.float32), intercept.astype(np.float32)

    def _raw(self, x: Any) -> NDArray[np.float64]:
        return np.asarray(x @ self.coef_.T, dtype=np.float64) + self.intercept_


def fit_soft(
    x: Any,
    targets: Targets,
    alpha: float,
    temperature: float = 1.0,
    c: float = 10.0,
    max_iter: int = 1000,
    tolerance: float = 1e-12,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the coefficients (classes, features) and intercepts (classes,) that minimise the summed loss.

    C times the sum over rows of alpha CE(gold) + (1 - alpha) T^2 KL(teacher || student), plus half the squared norm of
    the coefficients, as in scikit-learn's logistic regression of more than two classes. It is convex: L-BFGS from zero.

    Raises:
        ConfigError: the temperature or c is not above 0.
    """
    if not temperature > 0 or not c > 0:
        raise ConfigError(f"temperature and c must be above 0, not {temperature} and {c}")
    optimize = need("scipy.optimize", "train")
    count, classes, width = len(targets.gold), len(targets.classes), x.shape[1]
    by_gold, by_teacher = targets.shares(alpha)
    hard = np.zeros((count, classes))
    marked = targets.gold >= 0
    hard[marked, targets.gold[marked]] = 1.0
    soft = targets.softened(temperature)
    # In float64: the line search compares losses that differ by less than float32 can tell.
    x = x.astype(np.float64)

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(classes, width + 1)
        coef, intercept = weights[:, :width], weights[:, width]
        logits = np.asarray(x @ coef.T) + intercept
        total, slope = 0.0, np.zeros_like(logits)
        for share, wanted, t in ((by_gold, hard, 1.0), (by_teacher, soft, temperature)):
            if not share.any():
                continue
            scaled = logits / t
            logs = scaled - scaled.max(axis=1, keepdims=True)
            logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
            total -= t * t * float(share @ (wanted * logs).sum(axis=1))
            slope += (t * share)[:, None] * (np.exp(logs) - wanted)
        gradient = np.empty_like(weights)
        gradient[:, :width] = c * np.asarray((x.T @ slope).T) + coef
        gradient[:, width] = c * slope.sum(axis=0)
        return c * total + 0.5 * float((coef * coef).sum()), gradient.ravel()

    options = {"maxiter": max_iter, "ftol": tolerance}
    found = optimize.minimize(loss, np.zeros(classes * (width + 1)), jac=True, method="L-BFGS-B", options=options)
    weights = found.x.reshape(classes, width + 1)
    return weights[:, :width], weights[:, width]
