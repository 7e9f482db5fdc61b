"""Counts of n-grams: with a linear head over them a classifier is a table of n-gram -> coefficient."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import DataError

__all__ = ["NgramFeatures", "ngrams_of", "tokens_of"]

FILE = "ngrams.json"
_WORD = re.compile(r"\b\w+\b")


def tokens_of(text: str) -> list[tuple[str, tuple[int, int]]]:
    """Return a text's words in lower case, each with where it stands; as TF-IDF cuts them."""
    return [(found.group().lower(), found.span()) for found in _WORD.finditer(text)]


def ngrams_of(text: str, ngrams: tuple[int, int]) -> list[str]:
    """Return a text's n-grams of so many words from the fewest to the most, every occurrence."""
    words = [word for word, _ in tokens_of(text)]
    return [
        " ".join(words[at : at + size])
        for size in range(ngrams[0], ngrams[1] + 1)
        for at in range(len(words) - size + 1)
    ]


class NgramFeatures:
    """How often each n-gram of a vocabulary stands in a text.

    Args:
        ngrams: the fewest and the most words of one.
        vocabulary: the n-grams; None learns them: the commonest of the training texts.
        most: how many are learnt.
        least: in how many training texts one must stand.

    Attributes:
        vocabulary_: n-gram -> its place.
    """

    kind = "ngrams"

    def __init__(
        self,
        ngrams: tuple[int, int] = (1, 2),
        vocabulary: Iterable[str] | None = None,
        *,
        most: int = 20_000,
        least: int = 1,
    ) -> None:
        self.ngrams, self.most, self.least = ngrams, most, least
        self.vocabulary = None if vocabulary is None else tuple(dict.fromkeys(vocabulary))

    def fit(self, texts: Sequence[str]) -> NgramFeatures:
        """Learn the vocabulary, where none was given.

        Raises:
            DataError: there is none: the texts have no words.
        """
        names = self.vocabulary
        if names is None:
            counts = Counter(name for text in texts for name in set(ngrams_of(text, self.ngrams)))
            ranked = sorted(counts, key=lambda name: (-counts[name], name))
            names = tuple(name for name in ranked[: self.most] if counts[name] >= self.least)
        if not names:
            raise DataError(f"no n-gram stands in {self.least} or more of the {len(texts)} training texts")
        self.vocabulary_ = {name: place for place, name in enumerate(names)}
        return self

    def transform(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> Any:
        """Return a sparse (texts, vocabulary) matrix of counts."""
        sparse = need("scipy.sparse", "train")
        places: list[int] = []
        starts = [0]
        for text in texts:
            names = ngrams_of(text, self.ngrams)
            places += [place for name in names if (place := self.vocabulary_.get(name)) is not None]
            starts.append(len(places))
        shape = (len(texts), len(self.vocabulary_))
        found = sparse.csr_matrix((np.ones(len(places)), np.array(places, np.int64), np.array(starts)), shape=shape)
        found.sum_duplicates()
        if progress:
            progress(len(texts))
        return found

    def save(self, folder: Path) -> None:
        """Write ngrams.json."""
        folder.mkdir(parents=True, exist_ok=True)
        facts = {"ngrams": list(self.ngrams), "vocabulary": list(self.vocabulary_)}
        (folder / FILE).write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> NgramFeatures:
        """Read what `save` wrote."""
        facts = json.loads((folder / FILE).read_text(encoding="utf-8"))
        low, high = facts["ngrams"]
        return cls((int(low), int(high)), [str(name) for name in facts["vocabulary"]]).fit(())
