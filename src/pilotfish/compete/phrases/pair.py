"""Two phrases that mean the same, or nearly, and what is known of them together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilotfish.rows._groups import components

__all__ = ["Pair", "components_of", "distinct", "normal"]


@dataclass(frozen=True)
class Pair:
    """Two phrases that are near in meaning.

    Attributes:
        a, b: the phrases; of the kind "sentence" b is a sentence in which a stood.
        kind: what says so: where it was found, "written" by a model, or "given".
    """

    a: str
    b: str
    kind: str = "given"


def normal(text: str) -> str:
    """Return a phrase as it is compared: lower case, single spaces."""
    return " ".join(text.casefold().split())


def distinct(pairs: Iterable[Pair], without: Iterable[tuple[str, str]] = ()) -> list[Pair]:
    """Return pairs of two different phrases, each once in either order, the first kind kept.

    Args:
        pairs: in the order of how much their kind is trusted.
        without: pairs that are to be measured on, so that none of them is learnt from.
    """
    seen = {frozenset((normal(a), normal(b))) for a, b in without}
    found = []
    for pair in pairs:
        key = frozenset((normal(pair.a), normal(pair.b)))
        if len(key) == 2 and "" not in key and key not in seen:
            seen.add(key)
            found.append(pair)
    return found


def components_of(pairs: Sequence[Pair]) -> NDArray[np.int64]:
    """Return (pairs,): a number for each, the same for pairs that share a phrase, directly or by others."""
    places: dict[str, int] = {}
    ends = np.array(
        [[places.setdefault(normal(text), len(places)) for text in (pair.a, pair.b)] for pair in pairs], np.int64
    ).reshape(-1, 2)
    return components(len(places), ends[:, 0], ends[:, 1])[ends[:, 0]]
