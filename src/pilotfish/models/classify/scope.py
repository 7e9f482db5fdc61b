"""Whether a text is of any of the classes at all: a score of how far inside it lies, and a threshold on it.

Sources: Hendrycks and Gimpel 2017 (the largest softmax probability); Liu et al. 2020, equation 4 (energy: the logarithm
of the summed exponentials of the logits); Lee et al. 2018, section 2.1 (Mahalanobis distance to the nearest class mean,
one covariance for all), the covariance shrunk by Ledoit and Wolf 2004; Sun et al. 2022, section 3 (distance to the k-th
nearest of the normalised training vectors). The threshold keeps a stated share of texts that are inside, by split
conformal prediction (Vovk et al. 2005, section 4.2): on average over texts drawn alike, whatever the score is worth.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.classify.head import SoftmaxHead

__all__ = ["FILE", "Scope", "Way", "lower_bound"]

Way = Literal["probability", "energy", "mahalanobis", "neighbours"]
FILE, ARRAYS, FORMAT = "scope.json", "scope.safetensors", 1
_CELLS = 4_000_000  # of the largest table of similarities held at once


class Scope:
    """Scores texts, the higher the further inside, and says which are outside.

    Args:
        way: "probability", "energy", "mahalanobis" or "neighbours"; the last two need dense features (not TF-IDF).
        recall: the share of texts inside that are to be kept.
        neighbours: k, of the way of that name.

    Attributes:
        threshold_: texts that score below it are outside.
        rows_: texts that the threshold rests on.
    """

    def __init__(self, way: Way = "energy", *, recall: float = 0.95, neighbours: int = 5) -> None:
        if way not in get_args(Way):
            raise ConfigError(f"out of scope is told by {', '.join(get_args(Way))}, not {way!r}"
                              f"{did_you_mean(way, get_args(Way))}")  # fmt: skip
        if not 0 < recall < 1 or neighbours < 1:
            raise ConfigError(f"recall is a share and neighbours 1 or more, not {recall} and {neighbours}")
        self.way, self.recall, self.neighbours = way, recall, neighbours
        self._arrays: dict[str, NDArray[Any]] = {}
        self.threshold_ = -math.inf
        self.rows_ = 0

    def fit(self, x: Any, labels: Sequence[str]) -> Scope:
        """Learn where the classes lie, of features (rows, features) and labels (rows,).

        Raises:
            ConfigError: the way needs dense features, and these are sparse.
        """
        if self.way in ("probability", "energy"):
            return self  # the head knows all there is to know
        dense = self._dense(x)
        if self.way == "neighbours":
            self._arrays = {"known": _unit(dense).astype(np.float32)}
            return self
        names, codes = np.unique(np.asarray([str(label) for label in labels]), return_inverse=True)
        means = np.stack([dense[codes == i].mean(axis=0) for i in range(len(names))])
        covariance = need("sklearn.covariance", "train").ledoit_wolf(dense - means[codes], assume_centered=True)[0]
        # Distances in the covariance's metric are plain ones once everything is multiplied by this root.
        values, directions = np.linalg.eigh(np.atleast_2d(covariance))
        root = directions / np.sqrt(np.maximum(values, max(float(values[-1]) * 1e-9, 1e-12)))
        self._arrays = {"root": root.astype(np.float64), "means": (means @ root).astype(np.float64)}
        return self

    def scores(self, x: Any, head: SoftmaxHead) -> NDArray[np.float64]:
        """Return (rows,): the higher the further inside.

        Args:
            x: (rows, features).
            head: over the same features.
        """
        if self.way == "probability":
            return np.asarray(head.predict_proba(x).max(axis=1), np.float64)
        if self.way == "energy":
            logits = head.decision_function(x) * head.temperature_  # the temperature is for probabilities
            top = logits.max(axis=1)
            return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)), np.float64)
        dense = self._dense(x)
        step = max(1, _CELLS // max(len(one) for one in self._arrays.values()))
        parts = [self._near(dense[i : i + step]) for i in range(0, len(dense), step)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def calibrate(self, scores: NDArray[np.float64]) -> Scope:
        """Set the threshold by the scores of texts that are inside and that nothing was learnt from.

        Raises:
            DataError: so few that no threshold keeps the share.
        """
        self.threshold_ = lower_bound(scores, self.recall)
        self.rows_ = len(scores)
        return self

    def inside(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return (rows,): which are not outside."""
        return np.asarray(scores >= self.threshold_)

    def save(self, folder: Path) -> None:
        """Write scope.safetensors and scope.json."""
        if self._arrays:
            need("safetensors.numpy", "local").save_file(self._arrays, folder / ARRAYS)
        facts = {"format": FORMAT, "way": self.way, "recall": self.recall, "neighbours": self.neighbours}
        told = {**facts, "threshold": self.threshold_, "rows": self.rows_}
        (folder / FILE).write_text(json.dumps(told) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Scope:
        """Read what `save` wrote.

        Raises:
            ModelError: the folder holds none, or a damaged one.
        """
        with reading(folder, "scope"):
            told = facts_in(folder / FILE, "scope", FORMAT)
            scope = cls(told["way"], recall=float(told["recall"]), neighbours=int(told["neighbours"]))
            scope.threshold_, scope.rows_ = float(told["threshold"]), int(told["rows"])
            wanted = {"mahalanobis": {"root", "means"}, "neighbours": {"known"}}.get(scope.way, set())
            if wanted:
                scope._arrays = need("safetensors.numpy", "local").load_file(folder / ARRAYS)
            if set(scope._arrays) != wanted:
                raise ValueError(f"arrays {sorted(scope._arrays)} for {scope.way}")
        return scope

    def _near(self, dense: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.way == "neighbours":
            alike = _unit(dense) @ self._arrays["known"].T
            k = min(self.neighbours, alike.shape[1])
            # Of unit vectors the k-th largest cosine is the k-th nearest.
            return np.asarray(np.partition(alike, -k, axis=1)[:, -k], np.float64)
        placed = dense @ self._arrays["root"]
        means = self._arrays["means"]
        apart = (placed**2).sum(axis=1)[:, None] - 2 * placed @ means.T + (means**2).sum(axis=1)
        return np.asarray(-apart.min(axis=1), np.float64)

    def _dense(self, x: Any) -> NDArray[np.float64]:
        if not isinstance(x, np.ndarray):
            raise ConfigError(f'{self.way!r} needs dense features; of TF-IDF, take "energy" or "probability"')
        return x.astype(np.float64)


def lower_bound(scores: NDArray[np.float64], share: float) -> float:
    """Return the highest threshold that keeps at least this share of new rows, on average over draws of the rows.

    Of n scores it is the k-th lowest, k = floor((n + 1)(1 - share)): a new one lies below it with a chance of at most
    k / (n + 1).

    Raises:
        DataError: k is 0.
    """
    k = math.floor((len(scores) + 1) * (1 - share) + 1e-9)
    if k < 1:
        least = math.ceil(1 / (1 - share) - 1 - 1e-9)
        raise DataError(f"to keep {share:.1%} needs {least:,} rows kept back or more, not {len(scores):,}")
    return float(np.sort(scores)[k - 1])


def _unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True).clip(min=1e-12))
