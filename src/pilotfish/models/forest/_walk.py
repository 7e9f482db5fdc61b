"""Walk rows down trees: in C where a compiler is, else in numpy, to the same numbers."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pilotfish._native import NativeUnavailable, plain, turned_off

__all__ = ["CATEGORICAL", "LISTED_RIGHT", "MISSING_LEFT", "NODE", "Trees", "goes_left", "library", "walk", "walk_numpy"]

MISSING_LEFT, CATEGORICAL, LISTED_RIGHT = 1, 2, 4
# One split or leaf (a leaf has no child on the left, -1), as the C file has it; `cover` is how much of the rows that
# were learnt from came by.
NODE = np.dtype(
    [
        ("threshold", "<f8"),
        ("value", "<f8"),
        ("cover", "<f8"),
        ("feature", "<i4"),
        ("left", "<i4"),
        ("right", "<i4"),
        ("set", "<i4"),
        ("words", "<i4"),
        ("flags", "<i4"),
    ]
)
SOURCE = Path(__file__).parent / "_forest.c"
FLAGS = ("-std=gnu11", "-O3", "-shared", "-fPIC")


class Trees(NamedTuple):
    """What is walked.

    Attributes:
        nodes: of all trees, `NODE` each.
        sets: bits of the categories that splits list.
        roots: (trees,) the first node of each.
        outputs: (trees,) the output that each adds to.
        single: whether values are rounded to single precision before they are compared.
    """

    nodes: NDArray[Any]
    sets: NDArray[np.uint32]
    roots: NDArray[np.int32]
    outputs: NDArray[np.int32]
    single: bool

    def addresses(self) -> list[int]:
        """Return where the four arrays stand, for the C file."""
        return [array.ctypes.data for array in self[:4]]

    def rounded(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values as they are compared."""
        return x.astype(np.float32).astype(np.float64) if self.single else x


def walk(trees: Trees, x: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Add the trees' values to `out`.

    Args:
        trees: of it.
        x: (rows, columns); NaN where a value is missing.
        out: (rows, outputs).
    """
    lib = library()
    if lib is None:
        walk_numpy(trees, x, out)
        return
    size = (len(trees.roots), x.ctypes.data, len(x), x.shape[1], int(trees.single), out.ctypes.data, out.shape[1])
    lib.pf_forest(*trees.addresses(), *size)


def library() -> ctypes.CDLL | None:
    """Return the library for this machine, compiled now if it never was; None where that cannot be."""
    return None if turned_off() else _library()


@functools.cache
def _library() -> ctypes.CDLL | None:
    try:
        lib = ctypes.CDLL(str(plain(SOURCE, FLAGS)))
    except (OSError, NativeUnavailable):
        return None
    pointer, size = ctypes.c_void_p, ctypes.c_int64
    lib.pf_forest.restype = None
    lib.pf_forest.argtypes = [*[pointer] * 4, size, pointer, size, size, ctypes.c_int, pointer, size]
    lib.pf_shares.argtypes = [*[pointer] * 4, size, size, pointer, size, size, ctypes.c_int, pointer, size]
    return lib


def walk_numpy(trees: Trees, x: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Do the same in numpy: all rows one step at a time."""
    x, nodes = trees.rounded(x), trees.nodes
    rows = np.arange(len(x))
    for root, output in zip(trees.roots.tolist(), trees.outputs.tolist(), strict=True):
        at = np.full(len(x), root)
        while True:
            here = nodes[at]
            moving = here["left"] >= 0
            if not moving.any():
                break
            value = x[rows, np.where(moving, here["feature"], 0)]
            left = goes_left(here, trees.sets, value)
            at = np.where(moving, np.where(left, here["left"], here["right"]), at)
        out[:, output] += nodes["value"][at]


def goes_left(here: NDArray[Any], sets: NDArray[np.uint32], value: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which way each row goes at its node: (rows,) nodes, and the values of the nodes' columns."""
    flags = here["flags"]
    left = value <= here["threshold"]
    categorical = (flags & CATEGORICAL) > 0
    if categorical.any():
        known = categorical & (value >= 0) & (value < 32.0 * here["words"])
        code = np.where(known, value, 0).astype(np.int64)
        words = sets[np.where(known, here["set"] + code // 32, 0)]
        listed = known & (((words >> (code % 32).astype(np.uint32)) & 1) > 0)
        left = np.where(categorical, np.where((flags & LISTED_RIGHT) > 0, ~listed, listed), left)
    return np.where(np.isnan(value), (flags & MISSING_LEFT) > 0, left)
