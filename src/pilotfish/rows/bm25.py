"""Words: what counts as one, and BM25's scores of texts that are held in memory.

Sources: Robertson et al. 1994 (Okapi at TREC-3); the variants as Kamphuis et al. 2020 (Which BM25 Do You Mean?) have
them. Indexes on disk, which change, are `pilotfish.retrieve.bm25`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.rows._bm25_scores import Scores

__all__ = ["Method", "WordScores", "Words"]

Method = Literal["lucene", "robertson", "atire", "bm25l", "bm25+"]


@dataclass(frozen=True)
class Words:
    """What counts as a word, and what each is worth.

    Args:
        method: the variant; "lucene" is exact, without Lucene's lengths of one byte.
        k1: how soon further occurrences of a word in a passage count less.
        b: how much a long passage's words count less, 0 to 1.
        delta: of "bm25l" and "bm25+": what a word counts however long the passage.
        stemmer: a language of Snowball's stemmers ("english", "german" ...); None takes words as they are.
        stop_words: a language whose most frequent words do not count ("english", "german" ...), as bm25s has them; None
            counts all.

    Raises:
        ConfigError: another method, or a number out of range.
    """

    method: Method = "lucene"
    k1: float = 1.5
    b: float = 0.75
    delta: float = 0.5
    stemmer: str | None = "english"
    stop_words: str | None = "english"

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ConfigError(f"BM25 comes as {', '.join(get_args(Method))}, not {self.method!r}")
        if self.k1 < 0 or not 0 <= self.b <= 1 or self.delta < 0:
            raise ConfigError(f"k1 and delta are 0 or more and b 0 to 1, not {self.k1}, {self.delta} and {self.b}")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return asdict(self)

    def reader(self) -> Callable[[Sequence[str]], list[list[str]]]:
        """Return what finds the words of texts.

        Raises:
            ConfigError: no such stemmer or stop words.
            MissingExtra: bm25s or PyStemmer are not installed.
        """
        tokenization = need("bm25s.tokenization", "retrieve")
        stem = None
        if self.stemmer is not None:
            try:
                stem = need("Stemmer", "retrieve").Stemmer(self.stemmer)
            except KeyError:
                raise ConfigError(f"no stemmer for {self.stemmer!r}: name a language, as english") from None
        try:
            tokenization.tokenize("a", stopwords=self.stop_words, return_ids=False, show_progress=False)
        except ValueError:
            raise ConfigError(f"no stop words of {self.stop_words!r}: name a language, as english") from None

        def read(texts: Sequence[str]) -> list[list[str]]:
            found: list[list[str]] = tokenization.tokenize(
                list(texts), stopwords=self.stop_words, stemmer=stem, return_ids=False, show_progress=False
            )
            return found

        return read


class WordScores:
    """Texts by their words.

    Args:
        texts: what is compared.
        words: what counts as a word, and how much.

    Raises:
        ConfigError: settings as of `Words`.
    """

    def __init__(self, texts: Sequence[str], words: Words | None = None) -> None:
        from pilotfish.rows._bm25_scores import scores_of

        self.words = words or Words()
        self.count = len(texts)
        self._read = self.words.reader()
        self._vocabulary: dict[str, int] = {}
        known = self._vocabulary
        tokens = [
            np.array([known.setdefault(word, len(known)) for word in found], np.int32) for found in self._words(texts)
        ]
        lengths = np.array([len(one) for one in tokens], np.int64)
        # A text without words has no length to speak of; it scores nothing.
        self._there = np.flatnonzero(lengths)
        self._columns: Scores | None = None
        self._place = np.full(self.count, -1)
        self._place[self._there] = np.arange(len(self._there))
        if len(self._there):
            held = np.concatenate(tokens)
            self._columns = columns = scores_of(held, lengths[self._there], len(known), self.words)
            # The same by texts: which words each holds, and what they are worth there.
            order = np.argsort(columns.rows, kind="stable")
            self._word = np.repeat(np.arange(len(known)), np.diff(columns.starts))[order]
            self._values = columns.values[order]
            self._starts = np.concatenate([[0], np.cumsum(np.bincount(columns.rows, minlength=len(self._there)))])

    def _words(self, texts: Sequence[str]) -> list[list[str]]:
        return self._read(texts) if texts else []

    def scores(self, queries: Sequence[str]) -> NDArray[np.float64]:
        """Return BM25 of each query with each text, (queries, texts); 0 where they have no word in common."""
        found = np.zeros((len(queries), self.count))
        if self._columns is None:
            return found
        for row, words in enumerate(self._words(queries)):
            told = self._columns.of([self._vocabulary[word] for word in words if word in self._vocabulary])
            found[row, self._there] = np.where(np.isfinite(told), told, 0.0)
        return found

    def alike(self, texts: Sequence[int]) -> NDArray[np.float64]:
        """Return how alike some of the texts are, (texts, texts): the cosine of what their words are worth in them."""
        if self._columns is None or not len(texts):
            return np.zeros((len(texts), len(texts)))
        mine = [self._entries(text) for text in texts]
        used, columns = np.unique(np.concatenate([self._word[some] for some in mine]), return_inverse=True)
        made = np.zeros((len(texts), len(used)))
        rows = np.repeat(np.arange(len(texts)), [len(some) for some in mine])
        made[rows, columns] = self._values[np.concatenate(mine)]
        sizes = np.linalg.norm(made, axis=1, keepdims=True)
        unit = np.divide(made, sizes, out=np.zeros_like(made), where=sizes > 0)
        return np.asarray(unit @ unit.T)

    def _entries(self, text: int) -> NDArray[np.int64]:
        place = self._place[text]
        return np.arange(0) if place < 0 else np.arange(self._starts[place], self._starts[place + 1])
