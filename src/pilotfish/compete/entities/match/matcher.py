"""A small matcher: similarities of two records, weighed by a linear model or trees, taught on labelled pairs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pilotfish._saved import facts_in, reading
from pilotfish.compete.entities.match.pairs import Pair, labels_of
from pilotfish.compete.entities.match.report import MatchReport, best_threshold, judged
from pilotfish.compete.entities.match.similar import Similarities
from pilotfish.compete.tables.kinds import KINDS
from pilotfish.compete.tables.linear import Linear
from pilotfish.errors import ConfigError, DataError, did_you_mean
from pilotfish.models.forest import Forest
from pilotfish.rows._atomic import atomic
from pilotfish.rows.split import split

__all__ = ["FILE", "Matcher", "parted"]

FILE, FORMAT = "matcher.json", 1
_KEPT: dict[str, Any] = {"linear": Linear, "histogram": Forest, "lightgbm": Forest, "xgboost": Forest}
Floats = NDArray[np.float64]


class Matcher:
    """Tells whether two records are of the same thing.

    Args:
        kinds: of model that are tried: "linear", "histogram", "lightgbm", "xgboost"; the best F1 on the pairs that tune
            is taken.
        tuning: the share of the pairs that is kept to choose kind and threshold by, where `fit` gets no others.
        seed: of that share, and of the trees.

    Attributes:
        similar_: turns pairs into numbers.
        model_: of them.
        kind_: which it is.
        threshold_: of the probability.

    Raises:
        ConfigError: no such kind, or no share.
    """

    similar_: Similarities
    model_: Any
    kind_: str
    threshold_: float

    def __init__(self, kinds: Sequence[str] = ("linear", "lightgbm"), *, tuning: float = 0.25, seed: int = 0) -> None:
        for kind in kinds:
            if kind not in _KEPT:
                raise ConfigError(f"no matcher of the kind {kind!r}{did_you_mean(kind, _KEPT)}: {', '.join(_KEPT)}")
        if not kinds or not 0 < tuning < 1:
            raise ConfigError("a matcher tries one kind or more, and tuning is a share between 0 and 1")
        self.kinds, self.tuning, self.seed = tuple(kinds), tuning, seed

    def fit(self, pairs: Sequence[Pair], tune: Sequence[Pair] = ()) -> Self:
        """Learn from labelled pairs.

        Args:
            pairs: to learn from.
            tune: to choose kind and threshold by; without any a share of `pairs` is.

        Raises:
            DataError: a pair without a label, or pairs that are all alike.
        """
        pairs, tune = parted(pairs, tune, self.tuning, self.seed)
        y, wanted = np.array(labels_of(pairs)), np.array(labels_of(tune))
        self.similar_ = Similarities.of(pairs)
        x, held = self.similar_(pairs), self.similar_(tune)
        best = -1.0
        for name in self.kinds:
            kind = KINDS[name]
            model = kind.fit(x, y.astype(np.float64), [], "classes", kind.usual, self.seed).kept
            threshold, f1 = best_threshold(model.predict(held)[:, 1], wanted)
            if f1 > best:
                best, self.kind_, self.model_, self.threshold_ = f1, name, model, threshold
        return self

    def probabilities(self, pairs: Sequence[Pair]) -> Floats:
        """Return (pairs,): how likely each is of the same thing."""
        if not pairs:
            return np.zeros(0)
        return np.asarray(self.model_.predict(self.similar_(pairs))[:, 1])

    def measure(self, pairs: Sequence[Pair]) -> MatchReport:
        """Return how well labelled pairs are told apart.

        Raises:
            DataError: none, or one without a label.
        """
        return judged(self.probabilities(pairs), labels_of(pairs), self.threshold_)

    def save(self, folder: str | Path) -> None:
        """Write the model and, last, matcher.json."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).unlink(missing_ok=True)
        self.model_.save(folder)
        facts = {
            "format": FORMAT,
            "kind": self.kind_,
            "threshold": self.threshold_,
            "columns": self.similar_.columns,
            "idf": self.similar_.idf,
        }
        with atomic(folder / FILE) as file:
            file.write(json.dumps(facts, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: the folder holds no matcher, or a damaged one.
        """
        with reading(folder, "matcher"):
            told = facts_in(Path(folder) / FILE, "matcher", FORMAT)
            made = cls((told["kind"],))
            made.kind_, made.threshold_ = told["kind"], float(told["threshold"])
            made.similar_ = Similarities(list(map(str, told["columns"])), told["idf"])
            made.model_ = _KEPT[told["kind"]].load(folder)
        return made


def parted(
    pairs: Sequence[Pair], tune: Sequence[Pair], share: float, seed: int
) -> tuple[Sequence[Pair], Sequence[Pair]]:
    """Return pairs to learn from and pairs to choose by, both with either kind.

    Raises:
        DataError: pairs of one kind alone.
    """
    if not tune:
        parts = split(len(pairs), {"train": 1 - share, "test": share}, seed, stratify=[pair.same for pair in pairs])
        pairs, tune = [pairs[place] for place in parts["train"]], [pairs[place] for place in parts["test"]]
    for some, what in ((pairs, "learn from"), (tune, "choose a threshold by")):
        if len({pair.same for pair in some}) < 2:
            raise DataError(f"to {what} there must be pairs of the same thing and of others; all {len(some)} are alike")
    return pairs, tune
