"""Which pairs are learnt from, and which are kept back: no phrase stands in two parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.phrases.pair import Pair, components_of, normal
from pilotfish.errors import DataError
from pilotfish.rows.split import split

__all__ = ["measurable", "parts_of"]

_FEW = 20  # pairs below which a part that is kept back says little


def parts_of(pairs: Sequence[Pair], held_out: float, seed: int) -> dict[str, NDArray[np.int64]]:
    """Return the pairs' numbers in "train", "validation" and "test"; no phrase stands in two parts.

    Pairs that share phrases stay together. Where most of them hang together, so that whole groups leave too few to keep
    back, pairs are drawn, and those that share a phrase with a pair of another part that is kept back are left out.

    Raises:
        DataError: too few pairs.
    """
    shares = {"train": 1 - 2 * held_out, "validation": held_out, "test": held_out}
    if len(pairs) * held_out < 2:
        raise DataError(f"{len(pairs)} pairs: too few to learn from and to keep {held_out:.0%} back twice")
    parts = split(len(pairs), shares, seed, group=components_of(pairs))
    wanted = held_out * len(pairs)
    if min(len(parts["validation"]), len(parts["test"])) >= 0.5 * wanted and len(parts["train"]):
        return parts
    parts = split(len(pairs), shares, seed)
    taken: set[str] = set()
    for name in ("test", "validation", "train"):
        own = [i for i in parts[name].tolist() if not {normal(pairs[i].a), normal(pairs[i].b)} & taken]
        taken |= {normal(text) for i in own for text in (pairs[i].a, pairs[i].b)}
        parts[name] = np.array(own, np.int64)
    if not all(map(len, parts.values())):
        raise DataError(f"{len(pairs)} pairs hang together by so few phrases that none can be kept back")
    return parts


def measurable(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs of two phrases, where there are enough: a sentence is no phrase that anybody looks for."""
    some = [pair for pair in pairs if pair.kind != "sentence"]
    return some if len(some) >= _FEW else list(pairs)
