"""Boosted trees as arrays: scikit-learn grows them, numpy alone walks them, so what is saved needs no pickle.

scikit-learn shows the trees of its histogram kind under private names only; tests walk them beside its own `predict`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["WIDTH", "grown", "taken", "walked"]

WIDTH = 6  # columns of a node: feature, threshold, left, right, value, and whether what is missing goes left


def grown(model: Any, x: Any, y: Any, **settings: Any) -> Any:
    """Return a histogram gradient boosting model, fitted in one thread.

    Small trees are grown three times as fast by one thread as by two that wait for each other (measured).
    """
    from pilotfish._extras import need

    with need("threadpoolctl", "train").threadpool_limits(1, user_api="openmp"):
        return model.fit(x, y, **settings)


def taken(trees: Iterable[tuple[int, Any]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return trees as one table of nodes, and where each begins.

    Args:
        trees: the output that a tree adds to, and scikit-learn's predictor.

    Returns:
        The nodes (nodes, `WIDTH`), a leaf pointing at itself, so that all rows may walk as many steps as the deepest
        tree has; and (trees, 2): the output and the first node of each tree.
    """
    nodes: list[NDArray[np.float64]] = []
    starts: list[tuple[int, int]] = []
    count = 0
    for output, tree in trees:
        table = tree.nodes
        leaf = table["is_leaf"].astype(bool)
        own = np.arange(len(table))
        left, right = (np.where(leaf, own, table[side].astype(np.int64)) for side in ("left", "right"))
        columns = [
            table["feature_idx"].astype(np.float64) * ~leaf,
            np.where(leaf, np.inf, table["num_threshold"]),
            left + count,
            right + count,
            np.where(leaf, table["value"], 0.0),
            table["missing_go_to_left"].astype(np.float64),
        ]
        starts.append((output, count))
        nodes.append(np.stack(columns, axis=1))
        count += len(table)
    table = np.ascontiguousarray(np.concatenate(nodes)) if nodes else np.zeros((0, WIDTH))
    return table, np.array(starts, np.int64).reshape(len(starts), 2)


def walked(
    x: Any, base: NDArray[np.float64], nodes: NDArray[np.float64], starts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return what the trees give for rows: (rows, outputs).

    Args:
        x: (rows, features); NaN where a value is missing.
        base: (outputs,) what the trees add to.
        nodes: as `taken` gives them.
        starts: likewise.
    """
    found = np.tile(base, (len(x), 1))
    if not len(starts) or not len(x):
        return found
    feature, left, right = (nodes[:, i].astype(np.int64) for i in (0, 2, 3))
    at = np.tile(starts[:, 1], (len(x), 1))  # (rows, trees)
    rows = np.arange(len(x))[:, None]
    for _ in range(len(nodes)):
        value = x[rows, feature[at]]
        # All comparisons with NaN are false: a missing value goes where learning sent it.
        below = np.where(np.isnan(value), nodes[at, 5] > 0, value <= nodes[at, 1])
        step = np.where(below, left[at], right[at])
        if (step == at).all():
            break
        at = step
    np.add.at(found.T, starts[:, 0], nodes[at, 4].T)
    return found
