"""How much a text repeats itself: rep-n, diversity and distinct-n, over any tokens (words, or ids).

Sources: rep-n and diversity, Welleck et al. 2020 (seq-rep-n), Su et al. 2022 (SimCTG, section 4.1) and Li et al. 2023
(Contrastive Decoding, section 5.2); distinct-n, Li et al. 2016 (A Diversity-Promoting Objective Function, section 5.1).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

from pilotfish.errors import DataError

__all__ = ["distinct", "diversity", "rep", "words"]

Tokens = Sequence[Hashable]


def rep(tokens: Tokens, n: int = 4) -> float:
    """Return the share of a text's n-grams that stood in it before, 1 - |unique| / |all|; 0 where it has none.

    The papers print 100 times this.

    Raises:
        DataError: n is below 1.
    """
    grams = _ngrams(tokens, n)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def diversity(tokens: Tokens) -> float:
    """Return Π (1 - rep-n) for n = 2, 3, 4: 1 where nothing repeats, near 0 in a loop."""
    return math.prod(1 - rep(tokens, n) for n in (2, 3, 4))


def distinct(texts: Iterable[Tokens], n: int = 2) -> float:
    """Return distinct-n of a whole set of texts: its different n-grams over its number of tokens.

    It falls as texts get longer or more; compare sets of the same size only. 0 where there are no tokens.

    Raises:
        DataError: n is below 1.
    """
    seen: set[tuple[Hashable, ...]] = set()
    count = 0
    for text in texts:
        seen.update(_ngrams(text, n))
        count += len(text)
    return len(seen) / count if count else 0.0


def words(text: str) -> list[str]:
    """Return a text's words as the papers count them: between white space."""
    return text.split()


def _ngrams(tokens: Tokens, n: int) -> list[tuple[Hashable, ...]]:
    if n < 1:
        raise DataError(f"n-grams have at least one token, not {n}")
    return list(zip(*(tokens[i:] for i in range(n)), strict=False))
