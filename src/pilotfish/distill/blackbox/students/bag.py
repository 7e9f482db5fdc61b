"""A bag student: hashed words and character n-grams with learnt vectors, as fastText; quick to teach and to ask.

Source: Joulin et al. 2017; see `pilotfish.models.classify.bag`. The teacher's probabilities are learnt as shares of the
cross-entropy (Hinton et al. 2015, section 2, at temperature 1).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pilotfish._saved import facts_in, reading
from pilotfish.distill.blackbox.students.base import LabelStudent, Learnt
from pilotfish.distill.blackbox.students.targets import Targets
from pilotfish.errors import ModelError
from pilotfish.models.classify import BagFeatures, SoftmaxHead, TextClassifier
from pilotfish.models.classify.buckets import Buckets

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["BagStudent"]


class BagStudent(LabelStudent):
    """fastText's model; saved as a `TextClassifier`, which any collaboration loads.

    Args:
        dimension: of the vectors; `ngram`, `characters` and `bits` as in `BagFeatures`.
        ngram: words of the longest n-gram.
        characters: of the shortest and the longest n-gram of characters.
        bits: 2^bits buckets.
        epochs: how often each text is shown; None as many that they show 50,000 texts, 5 at least and 100 at most.
        rate: the first learning rate.
        alpha: as in `LabelStudent`.
        held_out: as in `LabelStudent`.
        seed: of the split, the first vectors and the order.
    """

    def __init__(
        self,
        *,
        dimension: int = 64,
        ngram: int = 2,
        characters: tuple[int, int] = (3, 5),
        bits: int = 21,
        epochs: int | None = None,
        rate: float = 0.5,
        alpha: float | Sequence[float] = 1.0,
        held_out: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__(alpha, held_out, seed)
        self.dimension, self.ngram, self.characters, self.bits = dimension, ngram, characters, bits
        self.epochs, self.rate = epochs, rate

    @property
    def classifier(self) -> TextClassifier:
        """The same thing as a classifier over texts."""
        head = SoftmaxHead()
        head.classes_, head.coef_, head.intercept_ = self.classes_, self.coef_, self.intercept_
        head.temperature_ = self.temperature_
        return TextClassifier(self.features_, head)

    def save(self, folder: str | Path) -> None:
        """Write the classifier, and what it learnt from as student.json."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        told = {"epochs": self.epochs, "rate": self.rate, "report": self.report_.to_json()}
        (folder / "student.json").write_text(json.dumps(told) + "\n", encoding="utf-8")
        self.classifier.save(folder)

    @classmethod
    def load(cls, folder: str | Path, catalog: Catalog | None = None) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: the folder holds no such student, or a damaged one.
        """
        found = TextClassifier.load(folder, catalog)
        if not isinstance(found.features, BagFeatures):
            raise ModelError(f"{folder}: a classifier on {found.features.kind} features, not a bag")
        own = {name: getattr(found.features, name) for name in ("dimension", "ngram", "characters", "bits")}
        with reading(folder, "student"):
            told = facts_in(Path(folder) / "student.json", "student")
            student = cls(**own, epochs=told["epochs"], rate=float(told["rate"]))
            student.report_ = Learnt.from_json(told["report"])
        head = found.head
        student.features_ = found.features
        student.classes_, student.coef_, student.intercept_ = head.classes_, head.coef_, head.intercept_
        student.temperature_ = head.temperature_
        return student

    def _prepared(self, inputs: Sequence[Any], learn: NDArray[np.int64]) -> Any:
        self.features_ = BagFeatures(self.dimension, self.ngram, self.characters, self.bits)
        return self.features_.read(inputs)

    def _features(self, inputs: Sequence[Any]) -> Any:
        return self.features_.read(inputs)

    def _taken(self, x: Buckets, rows: NDArray[np.int64]) -> Buckets:
        return x.at(rows)

    def _learn(self, x: Buckets, targets: Targets, alpha: float) -> None:
        by_gold, by_teacher = targets.shares(alpha)
        wanted = by_teacher[:, None] * targets.soft
        marked = np.flatnonzero(targets.gold >= 0)
        wanted[marked, targets.gold[marked]] += by_gold[marked]
        self.coef_ = self.features_.learn(
            x, wanted.astype(np.float32), epochs=self.epochs, rate=self.rate, seed=self.seed
        )
        self.intercept_ = np.zeros(len(targets.classes), np.float32)

    def _raw(self, x: Buckets) -> NDArray[np.float64]:
        return np.asarray(self.features_.means(x) @ self.coef_.T, np.float64)
