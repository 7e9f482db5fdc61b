"""How diverse a set of texts is: by n-grams, by compression, by vectors, by attributes.

Most of these numbers move with the size of the set: compare sets of one size. Which to look at:

- `distinct` (of `measure.repetition`) and `ngram_entropy`: are the words and phrases varied;
- `self_bleu`: does each text repeat others (less is more diverse); `compression_ratio`: does the set as a whole;
- `vendi`: how many truly different rows there are in effect, by vectors or by `ngram_kernel`; `dispersion`: how far
  apart they lie on average;
- `coverage`: which of the wanted combinations of attributes have rows at all.

Sources: Shaib et al. 2024 (compression ratio); Zhu et al. 2018 (Self-BLEU); Friedman and Dieng 2023 (Vendi score).
"""

from __future__ import annotations

import gzip
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pilotfish.errors import DataError
from pilotfish.measure._coverage import Coverage, coverage
from pilotfish.measure._interval import Interval
from pilotfish.measure._self_bleu import self_bleu
from pilotfish.measure._vendi import dispersion, ngram_kernel, vendi, vendi_of_kernel
from pilotfish.measure.repetition import distinct, words

__all__ = [
    "Coverage",
    "Diversity",
    "compression_ratio",
    "coverage",
    "dispersion",
    "distinct",
    "diversity",
    "ngram_entropy",
    "ngram_kernel",
    "self_bleu",
    "vendi",
    "vendi_of_kernel",
]


@dataclass(frozen=True, slots=True)
class Diversity:
    """The diversity of a set of texts.

    Attributes:
        texts: how many.
        distinct: n -> distinct-n.
        entropy: n -> entropy of the n-grams in bits.
        compression: bytes over compressed bytes; more is more repetitive.
        self_bleu: of a sample, with its interval; less is more diverse. None for fewer than two texts.
        vendi_words: Vendi score of the sample by 1- and 2-grams.
        sample: how many texts the sample has.
        vendi: Vendi score by vectors, of all rows; None without vectors.
        dispersion: mean cosine distance by vectors; None without, or for fewer than two texts.
        coverage: of the attributes; None without.
    """

    texts: int
    distinct: Mapping[int, float]
    entropy: Mapping[int, float]
    compression: float
    self_bleu: Interval | None
    vendi_words: float
    sample: int
    vendi: float | None = None
    dispersion: float | None = None
    coverage: Coverage | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as plain data."""
        return {
            "texts": self.texts,
            "distinct": {str(n): value for n, value in self.distinct.items()},
            "entropy": {str(n): value for n, value in self.entropy.items()},
            "compression": self.compression,
            "self_bleu": self.self_bleu.to_json() if self.self_bleu is not None else None,
            "vendi_words": self.vendi_words,
            "sample": self.sample,
            "vendi": self.vendi,
            "dispersion": self.dispersion,
            "coverage": self.coverage.to_json() if self.coverage is not None else None,
        }


def diversity(
    texts: Sequence[str],
    *,
    vectors: ArrayLike | None = None,
    attributes: Coverage | None = None,
    sample: int = 1000,
    seed: int = 0,
) -> Diversity:
    """Return all measures of a set of texts.

    Args:
        texts: the texts, at least one.
        vectors: (texts, dimensions) vectors of an encoder; None leaves out what needs them.
        attributes: what `coverage` found, to stand beside the rest.
        sample: texts that Self-BLEU and the Vendi score of words are measured on.
        seed: of the sample.

    Raises:
        DataError: no texts, not as many vectors as texts, or vectors that are zero or not finite.
    """
    if not len(texts):
        raise DataError("the diversity of no texts is not defined")
    if vectors is not None and len(np.asarray(vectors)) != len(texts):
        raise DataError(f"{len(texts)} texts but {len(np.asarray(vectors))} vectors")
    if sample < 2:
        raise DataError(f"a sample has at least 2 texts, not {sample}")
    tokens = [words(text) for text in texts]
    drawn: Sequence[str] = texts
    if len(texts) > sample:
        places = np.sort(np.random.default_rng(seed).choice(len(texts), sample, replace=False))
        drawn = [texts[place] for place in places]
    return Diversity(
        texts=len(texts),
        distinct={n: distinct(tokens, n) for n in (1, 2, 3)},
        entropy={n: ngram_entropy(texts, n) for n in (1, 2, 3)},
        compression=compression_ratio(texts),
        self_bleu=self_bleu(drawn, sample=sample, seed=seed) if len(texts) > 1 else None,
        vendi_words=vendi_of_kernel(ngram_kernel(drawn)),
        sample=len(drawn),
        vendi=vendi(vectors) if vectors is not None else None,
        dispersion=dispersion(vectors) if vectors is not None and len(texts) > 1 else None,
        coverage=attributes,
    )


def ngram_entropy(texts: Sequence[str], n: int = 1) -> float:
    """Return the Shannon entropy of all word n-grams in bits: 0 where there is but one, log2 of k for k equal ones.

    Raises:
        DataError: n is below 1.
    """
    if n < 1:
        raise DataError(f"n-grams have at least one token, not {n}")
    counts: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        tokens = words(text)
        counts.update(tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1))
    total = sum(counts.values())
    return max(0.0, math.log2(total) - sum(c * math.log2(c) for c in counts.values()) / total) if total else 0.0


def compression_ratio(texts: Sequence[str]) -> float:
    """Return the bytes of the texts, one a line, over their bytes after gzip: 1 or below for noise, high for copies."""
    data = "\n".join(texts).encode("utf-8", "surrogatepass")
    return len(data) / len(gzip.compress(data, mtime=0))
