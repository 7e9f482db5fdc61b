"""Whether an explanation of texts names the words that a classifier goes by: they are taken away, or given back.

Sources: deletion and insertion curves: Petsiuk et al. 2018 (RISE), section 4.3; for words DeYoung et al. 2020 (ERASER),
section 4.2, whose comprehensiveness and sufficiency these are, over all shares of words at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.explain.faithful import Faithful
from pilotfish.compete.explain.text.attributed import Attributed
from pilotfish.compete.explain.text.reads import Reads
from pilotfish.compete.explain.text.words import without
from pilotfish.errors import DataError

__all__ = ["faithful_words"]

_STEPS, _DRAWS, _AT_ONCE = 8, 3, 512


def faithful_words(
    reads: Reads,
    told: Sequence[Attributed],
    *,
    steps: int = _STEPS,
    draws: int = _DRAWS,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Faithful:
    """Return whether explanations are faithful to a classifier; texts of fewer than two words are left out.

    Args:
        reads: the classifier.
        told: what its words are said to add.
        steps: in how many the words go; a text of fewer words has as many steps as words.
        draws: of the random order.
        seed: of these draws.
        progress: called with the texts that are read.

    Raises:
        DataError: no text of two words.
    """
    some = [one for one in told if len(one.places) > 1]
    if not some:
        raise DataError("whether words count is seen on texts of two words or more")
    rng = np.random.default_rng(seed)
    orders = [
        [np.argsort(-one.shares, kind="stable"), *(rng.permutation(len(one.places)) for _ in range(draws))]
        for one in some
    ]
    asked: dict[str, int] = {}
    walks = [
        [[_walk(one, order, steps, keep, asked) for keep in (False, True)] for order in own]
        for one, own in zip(some, orders, strict=True)
    ]
    held = _read(reads, list(asked), progress)
    classes = {label: place for place, label in enumerate(reads.classes_)}
    areas = np.array(
        [
            [[float(held[walk, classes[one.label]].mean()) for walk in pair] for pair in own]
            for one, own in zip(some, walks, strict=True)
        ]
    )  # (texts, orders, deletion and insertion)
    drawn = areas[:, 1:].mean(axis=1)
    return Faithful.of(list(areas[:, 0].T), list(drawn.T), seed)


def _walk(one: Attributed, order: NDArray[np.int64], steps: int, keep: bool, asked: dict[str, int]) -> list[int]:
    """Return which texts are read on the way: words go, the first of the order first, or with `keep` come back."""
    count = len(order)
    found = []
    for size in sorted({int(np.ceil(count * step / steps)) for step in range(1, steps + 1)}):
        gone = order[size:] if keep else order[:size]
        found.append(asked.setdefault(without(one.text, one.places, gone.tolist()), len(asked)))
    return found


def _read(reads: Reads, texts: Sequence[str], progress: Callable[[int], None] | None) -> NDArray[np.float64]:
    found = []
    for at in range(0, len(texts), _AT_ONCE):
        some = texts[at : at + _AT_ONCE]
        found.append(np.asarray(reads.predict_proba(some), np.float64))
        if progress:
            progress(len(some))
    return np.concatenate(found)
