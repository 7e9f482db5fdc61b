"""Few-shot selection: for each row the examples nearest to it in meaning, and not all of one sort.

Sources: Liu et al. 2022 (What Makes Good In-Context Examples for GPT-3?), nearest neighbours by an encoder; Carbonell
and Goldstein 1998, maximal marginal relevance: each next example is near to the row and far from those taken before.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.errors import ConfigError
from pilotfish.rows.diverse import in_turn, marginal
from pilotfish.rows.vectors import unit_vectors

__all__ = ["Select", "Shots"]

Select = Literal["random", "near", "mmr", "balanced"]
_NEAREST = 50  # candidates of maximal marginal relevance: what is further away is not relevant


class Shots:
    """Chooses examples for rows.

    Args:
        keys: of each example; two rows with the same key are copies, and an example is never shown to its copy.
        classes: of each example, for "balanced".
        count: how many are shown.
        select: "random", the same ones for every row but for copies; "near", the nearest; "mmr", near but unlike each
            other; "balanced", the nearest of each class in turn, the nearest class first.
        vectors: (examples, dimension); needed for all but "random".
        relevance: of "mmr": 1 looks at nearness alone, 0 at difference alone.
        seed: of "random".

    Raises:
        ConfigError: settings that do not go together.
    """

    def __init__(
        self,
        keys: Sequence[str],
        classes: Sequence[Hashable],
        count: int,
        *,
        select: Select = "mmr",
        vectors: ArrayLike | None = None,
        relevance: float = 0.7,
        seed: int = 0,
    ) -> None:
        if select not in get_args(Select):
            raise ConfigError(f"`select` is one of {', '.join(get_args(Select))}, not {select!r}")
        if count < 0 or not 0 <= relevance <= 1:
            raise ConfigError("shots are 0 or more, and `relevance` lies from 0 to 1")
        if count and not keys:
            raise ConfigError("shots are drawn from rows with labels that people gave: give some")
        if count and select != "random" and vectors is None:
            raise ConfigError(f'`select = "{select}"` needs vectors: name an encoder, or take "random"')
        self.keys, self.classes, self.count = list(keys), list(classes), count
        self.select, self.relevance = select, relevance
        self._vectors = None if vectors is None else unit_vectors(vectors)
        if self._vectors is not None and len(self._vectors) != len(self.keys):
            raise ConfigError(f"{len(self.keys)} examples, but vectors of {len(self._vectors)}")
        self._order = [int(i) for i in np.random.default_rng(seed).permutation(len(self.keys))]

    def of(self, key: str, vector: ArrayLike | None = None) -> list[int]:
        """Return the numbers of the examples for a row, the nearest last, where it stands next to the row itself.

        Args:
            key: of the row.
            vector: of the row, (dimension,); needed for all but "random".
        """
        if not self.count:
            return []
        if self.select == "random":
            return [i for i in self._order if self.keys[i] != key][: self.count]
        assert self._vectors is not None and vector is not None
        near = self._vectors @ unit_vectors(np.asarray(vector)[None])[0]
        order = [int(i) for i in np.argsort(-near, kind="stable") if self.keys[int(i)] != key]
        if self.select == "near":
            found = order[: self.count]
        elif self.select == "mmr":
            found = self._apart(order[:_NEAREST], near)
        else:
            found = in_turn(order, self.classes, self.count)
        return sorted(found, key=lambda i: near[i])

    def _apart(self, order: list[int], near: NDArray[np.float32]) -> list[int]:
        assert self._vectors is not None
        some = self._vectors[order]
        return [order[at] for at in marginal(near[order], some @ some.T, self.count, self.relevance)]
