"""A bag of hashed words and character n-grams: the mean of learnt vectors, under a softmax.

Sources: Joulin et al. 2017 (Bag of Tricks, fastText), section 2: a text is the mean of its features' vectors, a linear
layer stands on it, both are learnt by stochastic gradient descent whose rate falls to 0; Bojanowski et al. 2017,
section 3.2 (n-grams of characters); Weinberger et al. 2009 (hashing). What learning did not see has no vector here and
counts nothing, where fastText lets it count with the random vector that it began with.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ConfigError, DataError
from pilotfish.models.classify._native import bag_library
from pilotfish.models.classify.buckets import Buckets, Hasher

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.classify.features import Progress

__all__ = ["BagFeatures", "epochs_for"]

_SEEN, _MOST = 50_000, 100  # texts that all epochs together show, and the most epochs
_TEXTS = 256  # read at a time, so that their gathered vectors stay small


def epochs_for(texts: int) -> int:
    """Return how often each of so many texts is shown where nothing is said: 5 times at least, as fastText does."""
    return min(_MOST, max(5, -(-_SEEN // max(1, texts))))


class BagFeatures:
    """A text as the mean of learnt vectors of its hashed words, word n-grams and character n-grams.

    Args:
        dimension: of the vectors.
        ngram: words of the longest n-gram of words, 1 to 16.
        characters: of the shortest and the longest n-gram of characters; (0, 0) for none.
        bits: 2^bits buckets, 8 to 28; only those that learning meets take memory.

    Attributes:
        bucket_: (known,) the buckets that have a vector, rising.
        vectors_: (known, dimension) float32.
    """

    kind = "bag"

    def __init__(
        self, dimension: int = 64, ngram: int = 2, characters: tuple[int, int] = (3, 5), bits: int = 21
    ) -> None:
        self.dimension, self.ngram, self.characters, self.bits = dimension, ngram, characters, bits

    def fit(self, texts: Sequence[str]) -> BagFeatures:
        """Return self, which has learnt.

        Raises:
            ConfigError: it has not: its vectors come of labels (`learn`).
        """
        if not hasattr(self, "vectors_"):
            raise ConfigError("a bag's vectors are learnt with labels: `learn` them, or take a `BagStudent`")
        return self

    def read(self, texts: Sequence[str]) -> Buckets:
        """Return the hashed features of texts."""
        return self._hasher(texts)

    def learn(
        self,
        found: Buckets,
        targets: NDArray[np.float32],
        *,
        epochs: int | None = None,
        rate: float = 0.5,
        seed: int = 0,
        native: bool = True,
    ) -> NDArray[np.float32]:
        """Learn the vectors, and return the linear layer over them: (classes, dimension).

        Args:
            found: of the texts, as `read` gives it.
            targets: (texts, classes) what each class counts, 0 or more; rows need not sum to 1.
            epochs: how often each text is shown; None is `epochs_for`.
            rate: the first learning rate.
            seed: of the first vectors and the order.
            native: False takes numpy's way.

        Raises:
            ConfigError: a setting is out of range.
            DataError: no text has a word.
        """
        if (epochs is not None and epochs < 1) or not rate > 0 or self.dimension < 1:
            raise ConfigError(
                f"epochs and dimension are 1 or more and rate is above 0, not {epochs}, {self.dimension}, {rate}"
            )
        if not len(found.bucket):
            raise DataError(f"none of the {len(found.counts)} training texts has a word")
        random = np.random.default_rng(seed)
        self.bucket_, column = np.unique(found.bucket, return_inverse=True)
        shape = (len(self.bucket_), self.dimension)
        self.vectors_: NDArray[np.float32] = random.uniform(-1, 1, shape).astype(np.float32) / np.float32(
            self.dimension
        )
        output = np.zeros((targets.shape[1], self.dimension), np.float32)
        rounds = epochs_for(len(targets)) if epochs is None else epochs
        order = np.concatenate([random.permutation(len(targets)) for _ in range(rounds)]).astype(np.int64)
        starts = np.concatenate([[0], np.cumsum(found.counts)]).astype(np.int64)
        wanted = np.ascontiguousarray(targets, np.float32)
        library = bag_library() if native else None
        if library is None:
            _by_numpy(column, starts, order, wanted, rate, self.vectors_, output)
            return output
        column = np.ascontiguousarray(column, np.int64)
        scratch = np.empty(2 * self.dimension + targets.shape[1], np.float32)
        library.pf_bag(
            column.ctypes.data, starts.ctypes.data, order.ctypes.data, len(order), wanted.ctypes.data,
            targets.shape[1], self.dimension, rate, self.vectors_.ctypes.data, output.ctypes.data, scratch.ctypes.data,
        )  # fmt: skip
        return output

    def means(self, found: Buckets) -> NDArray[np.float32]:
        """Return the mean vector of what is known of each text: (texts, dimension); zeros where nothing is."""
        place = np.searchsorted(self.bucket_, found.bucket)
        known = self.bucket_[np.minimum(place, len(self.bucket_) - 1)] == found.bucket
        owner = np.repeat(np.arange(len(found.counts)), found.counts)[known]
        place = place[known]
        counts = np.bincount(owner, minlength=len(found.counts))
        stops = np.cumsum(counts)
        means = np.zeros((len(counts), self.dimension), np.float32)
        for start in range(0, len(counts), _TEXTS):
            some = np.flatnonzero(counts[start : start + _TEXTS]) + start
            if not len(some):
                continue
            first = stops[some[0]] - counts[some[0]]
            rows = self.vectors_[place[first : stops[some[-1]]]]
            means[some] = np.add.reduceat(rows, stops[some] - counts[some] - first, axis=0) / counts[some][:, None]
        return means

    def transform(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        """Return (texts, dimension)."""
        means = self.means(self.read(texts))
        if progress:
            progress(len(texts))
        return means

    def save(self, folder: Path) -> None:
        """Write bag.json and bag.safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"ngram": self.ngram, "characters": list(self.characters), "bits": self.bits}
        (folder / "bag.json").write_text(json.dumps({"dimension": self.dimension, **settings}) + "\n", encoding="utf-8")
        arrays = {"bucket": self.bucket_, "vectors": self.vectors_}
        need("safetensors.numpy", "local").save_file(arrays, folder / "bag.safetensors")

    @classmethod
    def load(cls, folder: Path) -> BagFeatures:
        """Read what `save` wrote.

        Raises:
            ValueError: the arrays do not fit one another.
        """
        facts = json.loads((folder / "bag.json").read_text(encoding="utf-8"))
        least, most = (int(one) for one in facts["characters"])
        features = cls(int(facts["dimension"]), int(facts["ngram"]), (least, most), int(facts["bits"]))
        arrays = need("safetensors.numpy", "local").load_file(folder / "bag.safetensors")
        features.bucket_, features.vectors_ = arrays["bucket"], arrays["vectors"]
        if not len(features.bucket_) or features.vectors_.shape != (len(features.bucket_), features.dimension):
            raise ValueError(f"{features.bucket_.shape} buckets and vectors of {features.vectors_.shape}")
        return features

    @property
    def _hasher(self) -> Hasher:
        """Made when it is needed, for it cannot be sent to another process."""
        least, most = self.characters
        if not 1 <= self.ngram <= 16 or not 8 <= self.bits <= 28 or not (0 < least <= most <= 16 or most == least == 0):
            raise ConfigError(
                "an n-gram has 1 to 16 words or characters (0, 0 for none) and a table 2^8 to 2^28 buckets, not "
                f"{self.ngram}, {self.characters}, {self.bits}"
            )
        if "_made" not in self.__dict__:
            self.__dict__["_made"] = Hasher(self.ngram, self.bits, characters=self.characters)
        found: Hasher = self.__dict__["_made"]
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_made"}


def _by_numpy(
    column: NDArray[np.int64],
    starts: NDArray[np.int64],
    order: NDArray[np.int64],
    targets: NDArray[np.float32],
    rate: float,
    vectors: NDArray[np.float32],
    output: NDArray[np.float32],
) -> None:
    """Do what `pf_bag` does."""
    whole = targets.sum(axis=1)
    for step, text in enumerate(order):
        own = column[starts[text] : starts[text + 1]]
        if not len(own):
            continue
        now = np.float32(rate * (1 - step / len(order)))
        mean = vectors[own].mean(axis=0)
        logits = output @ mean
        p = np.exp(logits - logits.max())
        slope = now * (targets[text] - whole[text] * p / p.sum())
        back = slope @ output
        output += slope[:, None] * mean
        vectors[own] += back / len(own)  # each bucket stands there once
