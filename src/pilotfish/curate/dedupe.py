"""Rows that say what an earlier row says, left out: one pass makes sketches, the next one knows the groups."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish.curate._corpus import Corpus, in_batches
from pilotfish.curate.barrier import Barrier, Decide
from pilotfish.curate.sift import Dropped, Judged
from pilotfish.errors import ConfigError
from pilotfish.rows._near import MinHash
from pilotfish.rows._ray_sketches import TEXTS, sketch_file
from pilotfish.rows._row import Row
from pilotfish.rows._sketch_file import Mapped
from pilotfish.rows._sketch_texts import Packed, plain_bytes, similarities
from pilotfish.rows._verify import jaccard
from pilotfish.rows.dedupe import METHODS, near_duplicates

__all__ = ["Dedupe"]

_MOST = 1 << 21  # characters of which all pairs are compared
_BATCH = 4096


class Dedupe(Barrier):
    """Keeps the first row of each group of near-duplicates.

    `auto` compares all pairs of up to two million characters, and of more those that sketches propose; what is near
    is decided by the texts themselves. Sketches and texts then lie in files: half a KiB a row and the text. `exact`
    holds all texts.

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
            corpus = Corpus(folder / TEXTS)
            corpus.add(plain_bytes(held))
            return self._decide(found.group.astype(np.int32), corpus.read(), corpus.file)
        return self._by_sketches(chain(held, texts), folder)

    def _by_sketches(self, texts: Iterator[str], folder: Path) -> Decide:
        """Find groups by MinHash, each candidate compared exactly; sketches and texts lie in files."""
        corpus, sketches = Corpus(folder / TEXTS), sketch_file(folder, self._how)
        for plain in sketches.taken(in_batches(texts)):
            corpus.add(plain)
        packed = corpus.read()
        return self._decide(sketches.groups(packed, [corpus.file]), packed, corpus.file)

    def _decide(self, group: NDArray[np.int32], texts: Packed, file: Mapped) -> Decide:
        """Return what tells of each row whether it is the first of its group, and else how near it is to that one."""
        later = np.flatnonzero(group != np.arange(len(group), dtype=np.int32))
        similarity = np.zeros(len(later), dtype=np.float32)
        for start in range(0, len(later), _BATCH):
            some = later[start : start + _BATCH]
            first = group[some].astype(np.int64)
            found = similarities(texts, first, some, self.ngram, self.unit)
            similarity[start : start + _BATCH] = (
                jaccard(texts, first, some, self.ngram, self.unit) if found is None else found
            )
            file.release()

        def decide(number: int, row: Row) -> Judged:
            first = int(group[number])
            if first == number:
                return {}
            value = float(similarity[np.searchsorted(later, number)])
            via = "" if value >= self.threshold - 1e-6 else ", by way of others"
            return Dropped(f"duplicate: of row {first + 1} of those that came so far{via}, similarity {value:.3f}")

        return decide
