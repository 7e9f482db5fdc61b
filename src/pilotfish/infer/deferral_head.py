"""A learned deferral head: how likely a reply is right, from its log-probabilities, the prompt, and its embedding.

Source: Gupta et al. 2024 (Language Model Cascades), section 3.4, a post-hoc deferral rule learned on the quantiles of
token log-probabilities, and on embeddings; here a logistic regression (ridge where grades are not 0 and 1).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.errors import DataError, ModelError
from pilotfish.infer.routing.surface import surface
from pilotfish.infer.signals import SIGNALS, signals
from pilotfish.measure.checks import Verdict
from pilotfish.model import Reply, Request
from pilotfish.models.classify.features import load_features

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from pilotfish.models.catalog import Catalog
    from pilotfish.models.classify.features import Features

__all__ = ["DeferralHead", "Learned"]

FORMAT = 1
_LEARNED = ("mean_", "scale_", "coef_", "intercept_", "logistic_")


class DeferralHead:
    """scikit-learn's contract: `fit` returns self, learned attributes end in `_`.

    Args:
        features: what turns prompts into dense vectors (an encoder's, or static ones); None for none.
        c: the inverse of the penalty's strength.
    """

    def __init__(self, features: Features | None = None, c: float = 0.3) -> None:
        self.features = features
        self.c = c

    def fit(self, texts: Sequence[str], shown: ArrayLike, grades: ArrayLike) -> Self:
        """Learn.

        Args:
            texts: (rows,) the prompts.
            shown: (rows, signals) of the replies, see `pilotfish.infer.signals`.
            grades: (rows,) of the replies.

        Raises:
            DataError: no rows, or all of one grade: there is nothing to tell apart.
        """
        y = np.asarray(grades, np.float64)
        if len(np.unique(y)) < 2:
            raise DataError("a deferral head needs replies of different grades to learn from")
        if self.features is not None:
            self.features.fit(texts)
        x = self._raw(texts, np.asarray(shown, np.float64))
        self.mean_, self.scale_ = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
        z = (x - self.mean_) / self.scale_
        linear = need("sklearn.linear_model", "train")
        binary = bool(np.isin(y, (0.0, 1.0)).all())
        self.logistic_ = np.array([binary])
        model = (
            linear.LogisticRegression(C=self.c / 10, max_iter=2000).fit(z, y.astype(int))
            if binary
            else linear.Ridge(alpha=10 / self.c).fit(z, y)
        )
        self.coef_, self.intercept_ = np.ravel(model.coef_), np.ravel(model.intercept_)
        return self

    def predict(self, texts: Sequence[str], shown: ArrayLike) -> NDArray[np.float64]:
        """Return (rows,) how good the replies are foretold to be: a probability where grades were 0 and 1."""
        x = self._raw(texts, np.asarray(shown, np.float64))
        found: NDArray[np.float64] = (x - self.mean_) / self.scale_ @ self.coef_ + self.intercept_[0]
        return 1.0 / (1.0 + np.exp(-np.clip(found, -50, 50))) if self.logistic_[0] else found

    def save(self, folder: str | Path) -> None:
        """Write deferral.json, deferral.safetensors, and the features' own files."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if self.features is not None:
            self.features.save(folder)
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _LEARNED}
        need("safetensors.numpy", "local").save_file(arrays, folder / "deferral.safetensors")
        kind = None if self.features is None else self.features.kind
        facts = {"format": FORMAT, "features": kind, "c": self.c, "signals": list(SIGNALS)}
        (folder / "deferral.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, catalog: Catalog | None = None) -> DeferralHead:
        """Read what `save` wrote.

        Raises:
            ModelError: the files are missing, damaged, or of another format.
        """
        folder = Path(folder)
        with reading(folder, "deferral head"):
            facts = facts_in(folder / "deferral.json", "deferral head", FORMAT)
            if facts["signals"] != list(SIGNALS):
                raise ModelError(f"{folder}: a deferral head of other signals; fit it again")
            features = None if facts["features"] is None else load_features(facts["features"], folder, catalog)
            head = cls(features, facts["c"])
            arrays = need("safetensors.numpy", "local").load_file(folder / "deferral.safetensors")
            for name in _LEARNED:
                setattr(head, name, arrays[name])
        return head

    def _raw(self, texts: Sequence[str], shown: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = [shown.reshape(len(texts), len(SIGNALS)), surface(texts)]
        if self.features is not None:
            parts.append(np.asarray(self.features.transform(texts), np.float64).reshape(len(texts), -1))
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True, eq=False)
class Learned:
    """Trust a reply that a deferral head foretells to be at least `above` good."""

    head: DeferralHead
    above: float

    def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Ask the head.

        Raises:
            ModelError: the reply has no log-probabilities.
        """
        if not reply.logprobs:
            raise ModelError("a deferral head needs log-probabilities, and the small model's reply has none")
        score = float(self.head.predict([request.prompt], [signals(reply.logprobs)])[0])
        return Verdict(score >= self.above, score, threshold=self.above)
