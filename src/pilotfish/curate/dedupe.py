"""Rows that say what an earlier row says, left out: one pass makes sketches, the next one knows the groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pilotfish.curate.barrier import Barrier, Decide
from pilotfish.curate.sift import Dropped, Judged
from pilotfish.errors import ConfigError
from pilotfish.rows._row import Row
from pilotfish.rows.dedupe import METHODS, near_duplicates
from pilotfish.rows.minhash import MinHash, MinHashIndex

__all__ = ["Dedupe"]

_MOST = 1 << 21  # characters that are held to be compared exactly


class Dedupe(Barrier):
    """Keeps the first row of each group of near-duplicates.

    `auto` compares up to two million characters exactly, and more by sketches, 1 KiB a row, whose estimates then decide
    (standard error .03 at most); `exact` holds all texts.

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
        self._how = MinHash(threshold, ngram, unit, size=256, seed=seed)

    def look(self, rows: Iterator[Row], folder: Path) -> Decide:
        """Find the groups."""
        held: list[str] = []
        size = 0
        index = None
        texts = (str(row.get(self.text) or "") for row in rows)
        for text in texts:
            held.append(text)
            size += len(text)
            if self.method != "exact" and (self.method == "minhash" or size > _MOST):
                index = MinHashIndex(self._how)
                index.add(held)
                index.add(texts)
                break
        if index is not None:
            found = index.duplicates()
        else:
            found = near_duplicates(
                held, self.threshold, ngram=self.ngram, unit=self.unit, method="exact", seed=self.seed
            )
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
