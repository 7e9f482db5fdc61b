"""Rows that are not said already: neither by a row that was kept nor by an earlier one of the round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.rows._row import Row
from pilotfish.rows._shingles import normalised
from pilotfish.rows.dedupe import exactly, near_duplicates
from pilotfish.synthesize.keep._text import text_of
from pilotfish.synthesize.recipe import Check, Made, Prompt

__all__ = ["Unlike"]


class Unlike(Check):
    """Keeps one of each group of near-duplicates, the first; see `pilotfish.rows.dedupe`.

    Args:
        columns: what is compared; None for all columns.
        threshold: the Jaccard similarity of n-grams from which on two rows are the same; 1 for equal ones alone.
        others: rows that it must not repeat either, such as seeds.
        ngram: characters or words an n-gram.
        unit: "char" or "word".
        method: "exact", "minhash" or "auto", by size.
    """

    name = "said already"

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        threshold: float = 0.8,
        *,
        others: Sequence[Row] = (),
        ngram: int = 3,
        unit: str = "char",
        method: str = "auto",
    ) -> None:
        if not 0 < threshold <= 1:
            raise ConfigError(f"a similarity is above 0 and 1 at most, not {threshold}")
        self.columns, self.threshold = None if columns is None else list(columns), threshold
        self.ngram, self.unit, self.method = ngram, unit, method
        self._others = [text_of(row, self.columns) for row in others]

    async def reasons(self, rows: Sequence[Row], prompts: Sequence[Prompt], made: Made) -> Sequence[str | None]:
        """See `Check`."""
        known = [*self._others, *(text_of(row, self.columns) for row in made.rows)]
        texts = [*known, *(text_of(row, self.columns) for row in rows)]
        found = near_duplicates(
            texts, self.threshold, ngram=self.ngram, unit=self.unit, method=self.method, seed=made.seed
        )
        nearest: dict[int, list[tuple[int, float]]] = {}
        for left, right, similarity in found.pairs:
            nearest.setdefault(max(left, right), []).append((min(left, right), similarity))
        first = {normalised(text): number for number, text in reversed(list(enumerate(texts)))}
        said: list[str | None] = []
        gone: set[int] = set()
        for number in range(len(known), len(texts)):
            copied = first[normalised(texts[number])]
            like: tuple[int, float] | None = (copied, 1.0) if copied != number else None
            if like is None and self._lists_all(texts):
                # A row is held against what stays: of a chain of near rows the middle one takes no other with it.
                like = next(((at, near) for at, near in nearest.get(number, []) if at not in gone), None)
            elif like is None and int(found.group[number]) != number:
                like = next(iter(nearest.get(number, [])), (int(found.group[number]), self.threshold))
            if like is not None:
                gone.add(number)
            said.append(None if like is None else f"{like[1]:.2f} like {texts[like[0]][:80]!r}")
        return said

    def _lists_all(self, texts: Sequence[str]) -> bool:
        """Whether every near pair was listed: MinHash joins the groups, and lists no more than that takes."""
        return self.method == "exact" or (self.method == "auto" and exactly(texts))

    def config(self) -> dict[str, Any]:
        """Return the settings; of the other rows, how many."""
        told = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {**told, "others": len(self._others)}
