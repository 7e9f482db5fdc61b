"""Rows that hold a test row, stand in one, or nearly say the same, left out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from pilotfish.curate.sift import Dropped, Judged, Sift
from pilotfish.errors import ConfigError
from pilotfish.rows._json import encoded
from pilotfish.rows.decontaminate import NGRAM, SHORTEST, decontaminate

__all__ = ["Decontaminate"]


class Decontaminate(Sift):
    """Drops what test sets have touched (`pilotfish.rows.decontaminate` says how it is found).

    Args:
        tests: name -> texts of a test set.
        text: the column that is compared.
        ngram: words in a row that both must share; None does not look for them.
        shortest: the fewest words of a text that are looked for inside a longer one.
        threshold: the least Jaccard similarity of near texts; None does not look for them.

    Raises:
        ConfigError: no test set, or nothing to look for.
    """

    # Many at a time: the tests' n-grams are made anew for each batch.
    batch_size = 4096

    def __init__(
        self,
        tests: Mapping[str, Sequence[str]],
        *,
        text: str = "text",
        ngram: int | None = NGRAM,
        shortest: int = SHORTEST,
        threshold: float | None = 0.8,
    ) -> None:
        if not tests or not all(len(test) for test in tests.values()):
            raise ConfigError("decontamination needs test sets, each with rows")
        if ngram is None and threshold is None:
            raise ConfigError("nothing to look for: neither n-grams nor near-duplicates")
        self.text, self.ngram, self.shortest, self.threshold = text, ngram, shortest, threshold
        # The texts themselves would fill the note of what a run is a run of.
        self.tests = hashlib.sha256(encoded({name: list(test) for name, test in tests.items()})).hexdigest()
        self._tests = {name: list(test) for name, test in tests.items()}

    def judge(self, texts: Sequence[str]) -> list[Judged]:
        """Return nothing to add, or which test row a text has."""
        if not texts:
            return []
        # MinHash for long texts goes by the whole batch; exactly, each text is judged alone.
        found = decontaminate(
            texts,
            self._tests,
            ngram=self.ngram,
            shortest=self.shortest,
            threshold=self.threshold,
            method="exact",
        ).first
        return [Dropped(found[place].reason) if place in found else {} for place in range(len(texts))]
