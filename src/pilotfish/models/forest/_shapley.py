"""What each column adds to what trees say of a row: exact Shapley values, in C where a compiler is, else here.

Source: Lundberg et al. 2020 (From local explanations to global understanding with explainable AI for trees), algorithm
1 (here, by subsets of the columns that decide) and algorithm 2 (in C, in polynomial time).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ModelError
from pilotfish.models.forest._walk import Trees, goes_left, library

__all__ = ["expected", "shapley"]

_MOST = 20  # columns in one tree that their subsets are still looked at of


def shapley(trees: Trees, x: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Add the trees' Shapley values to `out`: (rows, columns, outputs). The others are those of `walk`.

    Raises:
        ModelError: without a compiler, a tree of too many columns.
    """
    lib = library()
    if lib is None:
        by_subsets(trees, x, out)
        return
    roots, single = trees.roots, int(trees.single)
    deepest = max((_depth(trees.nodes, int(root)) for root in roots), default=0)
    size = (len(roots), deepest, x.ctypes.data, len(x), x.shape[1], single, out.ctypes.data, out.shape[2])
    if lib.pf_shares(*trees.addresses(), *size):
        raise ModelError(f"no memory for trees of {deepest} levels")


def _depth(nodes: NDArray[Any], root: int) -> int:
    deepest, waiting = 0, [(root, 0)]
    while waiting:
        at, depth = waiting.pop()
        deepest = max(deepest, depth)
        if nodes["left"][at] >= 0:
            waiting += [(int(nodes["left"][at]), depth + 1), (int(nodes["right"][at]), depth + 1)]
    return deepest


def expected(nodes: NDArray[Any], roots: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the mean of each tree over the rows that it learnt from: (trees,)."""
    values = nodes["value"].copy()
    # Children stand behind their parents: from the last node on each has what is below it.
    for at in np.flatnonzero(nodes["left"] >= 0)[::-1]:
        left, right = int(nodes["left"][at]), int(nodes["right"][at])
        covers = nodes["cover"][[left, right]]
        values[at] = float((covers * values[[left, right]]).sum() / nodes["cover"][at])
    return np.asarray(values[roots], np.float64)


def by_subsets(trees: Trees, x: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Do the same by the definition: every subset of the columns that a tree decides by."""
    x, nodes, sets = trees.rounded(x), trees.nodes, trees.sets
    for root, output in zip(trees.roots.tolist(), trees.outputs.tolist(), strict=True):
        columns = sorted(_columns(nodes, root))
        if len(columns) > _MOST:
            raise ModelError(f"a tree of {len(columns)} columns is explained in C alone; see PILOTFISH_NATIVE")
        count = len(columns)
        worth = {known: _expectation(nodes, sets, root, x, _chosen(columns, known)) for known in range(2**count)}
        for place, column in enumerate(columns):
            for known in range(2**count):
                if known >> place & 1:
                    continue
                size = known.bit_count()
                weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
                out[:, column, output] += weight * (worth[known | 1 << place] - worth[known])


def _chosen(columns: list[int], known: int) -> frozenset[int]:
    return frozenset(column for place, column in enumerate(columns) if known >> place & 1)


def _columns(nodes: NDArray[Any], root: int) -> set[int]:
    found: set[int] = set()
    waiting = [root]
    while waiting:
        at = waiting.pop()
        if nodes["left"][at] >= 0:
            found.add(int(nodes["feature"][at]))
            waiting += [int(nodes["left"][at]), int(nodes["right"][at])]
    return found


def _expectation(
    nodes: NDArray[Any], sets: NDArray[np.uint32], at: int, x: NDArray[np.float64], known: frozenset[int]
) -> NDArray[np.float64]:
    """Return what a tree is expected to say of rows of which some columns are known: (rows,)."""
    here = nodes[at]
    if here["left"] < 0:
        return np.full(len(x), float(here["value"]))
    sides = [_expectation(nodes, sets, int(here[side]), x, known) for side in ("left", "right")]
    column = int(here["feature"])
    if column in known:
        return np.where(goes_left(np.repeat(here[None], len(x)), sets, x[:, column]), *sides)
    covers = [float(nodes["cover"][int(here[side])]) for side in ("left", "right")]
    return np.asarray((covers[0] * sides[0] + covers[1] * sides[1]) / float(here["cover"]))
