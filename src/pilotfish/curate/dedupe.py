"""Rows that say what an earlier row says, left out: one pass makes sketches, the next one knows the groups."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from typing import Literal

import numpy as np

from pilotfish.curate._corpus import Corpus, Some
from pilotfish.curate.barrier import Barrier, Decide
from pilotfish.curate.sift import Dropped, Judged
from pilotfish.errors import ConfigError
from pilotfish.rows._duplicates import Duplicates, grouped
from pilotfish.rows._near import MinHash, near_within
from pilotfish.rows._row import Row
from pilotfish.rows._shingles import normalised
from pilotfish.rows.dedupe import METHODS, near_duplicates

__all__ = ["Dedupe"]

_MOST = 1 << 21  # characters of which all pairs are compared
_BATCH = 4096


class Dedupe(Barrier):
    """Keeps the first row of each group of near-duplicates.

    `auto` compares all pairs of up to two million characters, and of more those that sketches propose, half a KiB a
    row; what is near is decided by the texts themselves, which then lie in a file. `exact` holds all texts.

    Args:
        threshold: the least Jaccard similarity of near texts.
        text: the column that is compared.
        ngram: characters or words an n-gram.
        unit: `char` or `word`.
        method: `auto`, `exact` or `minhash`.
        seed: of the sketches.

    Raises:
        ConfigError: a setting is out of range.
    """

    def __init__(
        self,
        threshold: float = 0.8,
        *,
        text: str = "text",
        ngram: int = 3,
        unit: Literal["char", "word"] = "char",
        method: Literal["auto", "exact", "minhash"] = "auto",
        seed: int = 0,
    ) -> None:
        if method not in METHODS:
            raise ConfigError(f"duplicates are found by {', '.join(METHODS)}, not {method!r}")
        self.threshold, self.text, self.ngram, self.unit = threshold, text, ngram, unit
        self.method, self.seed = method, seed
        self._how = MinHash(threshold, ngram, unit, seed=seed)

    def look(self, rows: Iterator[Row], folder: Path) -> Decide:
        """Find the groups."""
        texts = (str(row.get(self.text) or "") for row in rows)
        held: list[str] = []
        size = 0
        for text in texts if self.method != "minhash" else ():
            held.append(text)
            size += len(text)
            if self.method == "auto" and size > _MOST:
                break
        if self.method == "exact" or (self.method == "auto" and size <= _MOST):
            found = near_duplicates(held, self.threshold, ngram=self.ngram, unit=self.unit, method="exact")
        else:
            found = self._by_sketches(chain(held, texts), folder)
        group, nearest = found.group, found.nearest()

        def decide(number: int, row: Row) -> Judged:
            first = int(group[number])
            if first == number:
                return {}
            other, similarity = nearest.get(number, (first, None))
            how = "" if similarity is None else f", similarity {similarity:.3f}"
            via = f", by way of row {other + 1}" if other != first else ""
            return Dropped(f"duplicate: of row {first + 1} of those that came so far{via}{how}")

        return decide

    def _by_sketches(self, texts: Iterator[str], folder: Path) -> Duplicates:
        """Find groups by MinHash, each candidate compared exactly; the texts lie in a file."""
        corpus = Corpus(folder / "texts.bin")
        sketches, digests = [], []
        while batch := [normalised(text) for text in islice(texts, _BATCH)]:
            corpus.add(batch)
            sketches.append(self._how.sketched(batch))
            digests.append(np.fromiter(map(_digest, batch), np.uint64, len(batch)))
        if not sketches:
            return near_duplicates([])
        _, first, first_of = np.unique(np.concatenate(digests), return_index=True, return_inverse=True)
        # Numbered by first appearance, so that the least member of a group is its first text.
        order = np.argsort(first)
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        firsts, first_of = first[order], rank[first_of]
        with corpus:
            near = near_within(np.concatenate(sketches), self._how, Some(corpus, firsts), rows=firsts)
        return grouped(firsts, first_of, near)


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
