"""A linear classifier over hashed words and n-grams of words: as fastText's, without its detour over vectors.

Source: Joulin et al. 2017 (Bag of Tricks), section 2: a text is the mean of its n-grams' vectors, and a linear layer
stands on it. Of two classes that is one number an n-gram, which is what is learnt here, as logistic regression
(Weinberger et al. 2009 for the hashing). Ratings are learnt as shares (Papke and Wooldridge 1996).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.curate.quality._logistic import logistic
from pilotfish.curate.quality.base import Floats, QualityClassifier
from pilotfish.errors import ConfigError
from pilotfish.models.classify.buckets import Hasher

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["HashedClassifier"]

WEIGHTS = "hashed.safetensors"


class HashedClassifier(QualityClassifier):
    """Fast: a text costs a pass over its bytes and one number an n-gram, 4 MiB of them at 2^20 buckets.

    Args:
        ngram: words of the longest n-gram, 1 to 16; DCLM and fastText's own examples take 2.
        bits: 2^bits buckets, 8 to 28.
        c: the inverse of the penalty's strength.
        settings: those of `QualityClassifier`.

    Attributes:
        weights_: (2^bits,) float32.
        intercept_: float.
    """

    kind: ClassVar[str] = "hashed"

    def __init__(self, ngram: int = 2, bits: int = 20, c: float = 10.0, **settings: Any) -> None:
        super().__init__(**settings)
        self.ngram, self.bits, self.c = ngram, bits, c

    def logits(self, texts: Sequence[str]) -> Floats:
        """Return the sum of a text's weights over the root of their number, and the intercept."""
        found: Floats = self._hasher(texts).sums(self.weights_) + self.intercept_
        return found

    def settings(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {"ngram": self.ngram, "bits": self.bits, "c": self.c, **super().settings()}

    @property
    def _hasher(self) -> Hasher:
        """Made when it is needed, for it cannot be sent to another process."""
        if not 1 <= self.ngram <= 16 or not 8 <= self.bits <= 28:
            raise ConfigError(
                f"an n-gram has 1 to 16 words and a table 2^8 to 2^28 buckets, not {self.ngram}, {self.bits}"
            )
        found: Hasher = self.__dict__.setdefault("_made", None) or Hasher(self.ngram, self.bits)
        self.__dict__["_made"] = found
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_made"}

    def _learn(self, texts: Sequence[str], targets: Floats) -> None:
        sparse = need("scipy.sparse", "train")
        found = self._hasher(texts)
        # Only buckets that come up: most of a table is empty, and a solver keeps many copies of the weights.
        used, column = np.unique(found.bucket, return_inverse=True)
        value = np.repeat(1 / np.sqrt(np.maximum(found.counts, 1)), found.counts)
        starts = np.concatenate([[0], np.cumsum(found.counts)])
        matrix = sparse.csr_matrix((value, column, starts), shape=(len(texts), max(1, len(used))))
        coef, self.intercept_ = logistic(matrix, targets, self.c)
        self.weights_: NDArray[np.float32] = np.zeros(1 << self.bits, np.float32)
        self.weights_[used] = coef[: len(used)]

    def _save(self, folder: Path) -> None:
        """Write the weights that are not zero, and where they stand."""
        used = np.flatnonzero(self.weights_)
        tensors = {
            "bucket": used.astype(np.int32),
            "weight": self.weights_[used],
            "intercept": np.array([self.intercept_], np.float64),
        }
        need("safetensors.numpy", "local").save_file(tensors, folder / WEIGHTS)

    @classmethod
    def _load(cls, folder: Path, settings: dict[str, Any], catalog: Catalog | None) -> Self:
        found = cls(**settings)
        tensors = need("safetensors.numpy", "local").load_file(folder / WEIGHTS)
        used, weight = tensors["bucket"], tensors["weight"]
        if used.shape != weight.shape or (len(used) and not 0 <= used.min() <= used.max() < 1 << found.bits):
            raise ValueError("its arrays do not fit one another")
        found.weights_ = np.zeros(1 << found.bits, np.float32)
        found.weights_[used] = weight
        found.intercept_ = float(tensors["intercept"][0])
        return found
