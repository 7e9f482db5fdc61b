"""A tree student for tables: gradient-boosted trees taught by labels and by shares, saved as arrays.

Soft labels are learnt as weighted copies: a row with the probabilities (.7, .3) stands there twice, once with each
label, weighing .7 and .3. The classifier's log-loss over the copies is the cross-entropy to the soft label itself. A
regressor a class would instead minimise the squared error of each probability by itself, need as many trees, and give
numbers that neither sum to 1 nor stay between 0 and 1.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.distill.blackbox.students.base import LabelStudent, Learnt
from pilotfish.distill.blackbox.students.targets import Targets
from pilotfish.errors import ModelError
from pilotfish.models._table import Table
from pilotfish.models._trees import WIDTH, grown, taken, walked

__all__ = ["TreeStudent"]

FORMAT = 1
NEGLIGIBLE = 1e-3  # a share below this makes no copy: of 77 classes most would have one


class TreeStudent(LabelStudent):
    """scikit-learn's histogram gradient boosting on tabular rows; numpy alone walks the saved trees.

    A row is a mapping. Columns of numbers (text that reads as a number too) are taken as they are, others by their
    values' codes; a value that is missing, or that learning never saw, goes the way that learning chose for missing
    ones.

    Args:
        columns: the columns to go by; None for all of the first row.
        rounds: of boosting, a tree a class in each.
        rate: the learning rate.
        leaves: the most leaves of a tree.
        alpha: as in `LabelStudent`.
        held_out: as in `LabelStudent`.
        seed: of the split and the trees.
    """

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        *,
        rounds: int = 100,
        rate: float = 0.1,
        leaves: int = 15,
        alpha: float | Sequence[float] = 0.5,
        held_out: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__(alpha, held_out, seed)
        self.columns, self.rounds, self.rate, self.leaves = columns, rounds, rate, leaves

    def save(self, folder: str | Path) -> None:
        """Write trees.safetensors and, last, student.json."""
        numpy_files = need("safetensors.numpy", "train")
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "student.json").unlink(missing_ok=True)
        arrays = {"nodes": self.nodes_, "starts": self.starts_, "base": self.base_}
        numpy_files.save_file(arrays, folder / "trees.safetensors")
        facts = {
            "format": FORMAT,
            "classes": self.classes_,
            "temperature": self.temperature_,
            "table": self.table_.to_json(),
            "report": self.report_.to_json(),
        }
        (folder / "student.json").write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: the folder holds no such student, a damaged one, or one of a later format.
        """
        folder = Path(folder)
        with reading(folder, "tree student"):
            facts = facts_in(folder / "student.json", "tree student", FORMAT)
            arrays = need("safetensors.numpy", "train").load_file(folder / "trees.safetensors")
            student = cls()
            student.classes_ = [str(label) for label in facts["classes"]]
            student.temperature_ = float(facts["temperature"])
            student.table_ = Table.from_json(facts["table"])
            student.report_ = Learnt.from_json(facts["report"])
            student.nodes_, student.starts_, student.base_ = arrays["nodes"], arrays["starts"], arrays["base"]
        student._check(folder)
        return student

    def _check(self, folder: Path) -> None:
        """See that no row can walk out of the arrays.

        Raises:
            ModelError: it could.
        """
        nodes, starts = self.nodes_, self.starts_
        whole = nodes.ndim == 2 and nodes.shape[1] == WIDTH and starts.ndim == 2 and starts.shape[1] == 2
        if whole and len(starts):
            whole = (
                self.base_.shape == (len(self.classes_),)
                and bool((nodes[:, 0] >= 0).all())
                and bool((nodes[:, 0] < len(self.table_.columns)).all())
                and bool((nodes[:, 2:4] >= 0).all())
                and bool((nodes[:, 2:4] < len(nodes)).all())
                and bool(((starts >= 0) & (starts < [len(self.classes_), len(nodes)])).all())
            )
        if not whole:
            raise ModelError(f"{folder}: a damaged tree student")

    def _key(self, given: Any) -> Hashable:
        columns = self.columns if self.columns is not None else sorted(given)
        return json.dumps([given.get(name) for name in columns], default=str)

    def _prepared(self, inputs: Sequence[Any], learn: NDArray[np.int64]) -> Any:
        names = list(self.columns) if self.columns is not None else list(inputs[0])
        self.table_ = Table.of([inputs[i] for i in learn], names)
        return self.table_.matrix(inputs)

    def _features(self, inputs: Sequence[Mapping[str, Any]]) -> Any:
        return self.table_.matrix(inputs)

    def _learn(self, x: Any, targets: Targets, alpha: float) -> None:
        ensemble = need("sklearn.ensemble", "train")
        by_gold, by_teacher = targets.shares(alpha)
        shares = by_teacher[:, None] * targets.soft
        marked = np.flatnonzero(targets.gold >= 0)
        shares[marked, targets.gold[marked]] += by_gold[marked]
        rows, labels = np.nonzero(shares > NEGLIGIBLE * shares.sum(axis=1, keepdims=True))
        weights = shares[rows, labels]
        classes = len(targets.classes)
        seen = np.unique(labels)
        # A class that no row has any share of is never likelier than one that some row has.
        self.base_ = np.full(classes, -30.0)
        self.nodes_, self.starts_ = taken(())
        if len(seen) == 1:
            self.base_[seen] = 0.0
            return
        model = ensemble.HistGradientBoostingClassifier(
            max_iter=self.rounds,
            learning_rate=self.rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=max(5, len(x) // 200),
            l2_regularization=1.0,
            early_stopping=False,
            random_state=self.seed,
        )
        grown(model, x[rows], labels, sample_weight=weights * (len(weights) / weights.sum()))
        base = np.ravel(model._baseline_prediction)
        # Of two classes it grows one tree, for the second's log-odds against the first.
        self.base_[seen] = base if len(base) == len(seen) else [0.0, base[0]]
        outputs = seen if len(base) == len(seen) else seen[1:]
        self.nodes_, self.starts_ = taken(
            (int(label), tree) for trees in model._predictors for label, tree in zip(outputs, trees, strict=True)
        )

    def _raw(self, x: Any) -> NDArray[np.float64]:
        return walked(x, self.base_, self.nodes_, self.starts_)
