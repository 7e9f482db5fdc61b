"""Which pairs are learnt from, and which are kept back: no phrase stands in two parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.phrases.pair import Pair, components_of, normal
from pilotfish.errors import DataError
from pilotfish.rows.split import split

__all__ = ["parts_of"]

_FEW = 5  # pairs of a kind that are kept back, below which it may be missing there


def parts_of(pairs: Sequence[Pair], held_out: float, seed: int) -> dict[str, NDArray[np.int64]]:
    """Return the pairs' numbers in "train", "validation" and "test"; no phrase stands in two parts.

    Pairs that share phrases stay together. Where so many hang together that whole groups leave too few of some kind to
    keep back, pairs are drawn kind by kind, and those that share a phrase with one that is kept back are left out.

    Raises:
        DataError: too few pairs.
    """
    shares = {"train": 1 - 2 * held_out, "validation": held_out, "test": held_out}
    if len(pairs) * held_out < 2:
        raise DataError(f"{len(pairs)} pairs: too few to learn from and to keep {held_out:.0%} back twice")
    parts = split(len(pairs), shares, seed, group=components_of(pairs))
    kinds = [pair.kind for pair in pairs]
    if len(parts["train"]) and _shows_all(kinds, parts, held_out):
        return parts
    parts = split(len(pairs), shares, seed, stratify=kinds)
    taken: set[str] = set()
    for name in ("test", "validation", "train"):
        own = [i for i in parts[name].tolist() if not {normal(pairs[i].a), normal(pairs[i].b)} & taken]
        taken |= {normal(text) for i in own for text in (pairs[i].a, pairs[i].b)}
        parts[name] = np.array(own, np.int64)
    if not all(map(len, parts.values())):
        raise DataError(f"{len(pairs)} pairs hang together by so few phrases that none can be kept back")
    return parts


def _shows_all(kinds: Sequence[str], parts: Mapping[str, NDArray[np.int64]], held_out: float) -> bool:
    """Say whether both parts that are kept back have half the pairs that they should, of all kinds and of each."""
    for kind in [None, *sorted(set(kinds))]:
        own = [kind is None or one == kind for one in kinds]
        wanted = held_out * sum(own)
        if kind is not None and wanted < _FEW:
            continue
        if min(sum(own[i] for i in parts[name]) for name in ("validation", "test")) < 0.5 * wanted:
            return False
    return True
