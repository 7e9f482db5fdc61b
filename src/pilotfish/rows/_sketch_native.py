"""Compile what sketches and compares texts with the user's own compiler, once for each machine, and load it by ctypes.

Where there is no compiler numpy does the same, to the same numbers. `PILOTFISH_NATIVE=0` turns it off; `CC` chooses
the compiler.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pilotfish._native import NativeUnavailable, plain, turned_off

__all__ = ["Join", "address", "library", "packed"]

SOURCE = Path(__file__).parent / "_sketch_native.c"
FLAGS = ("-std=gnu11", "-O3", "-shared", "-fPIC")


class Join(ctypes.Structure):
    """The settings of one search for near rows, as the C file has them."""

    _fields_ = (
        ("bytes", ctypes.c_void_p),
        ("starts", ctypes.c_void_p),
        ("sketches", ctypes.c_void_p),
        ("size", ctypes.c_int64),
        ("least", ctypes.c_int64),
        ("parent", ctypes.c_void_p),
        ("distinct", ctypes.c_void_p),
        ("threshold", ctypes.c_double),
        ("n", ctypes.c_int),
        ("word", ctypes.c_int),
        ("counts", ctypes.c_int64 * 3),
    )


def library() -> ctypes.CDLL | None:
    """Return the library for this machine, compiled now if it never was; None where that cannot be."""
    return None if turned_off() else _loaded()


@functools.cache
def _loaded() -> ctypes.CDLL | None:
    try:
        lib = ctypes.CDLL(str(plain(SOURCE, FLAGS)))
    except (OSError, NativeUnavailable):
        return None
    pointer, size, whole = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    lib.pf_normalised.restype = None
    lib.pf_normalised.argtypes = [pointer, pointer, size, pointer, pointer, pointer]
    lib.pf_sketches.argtypes = [pointer, pointer, size, whole, whole, size, pointer, pointer]
    lib.pf_similar.argtypes = [pointer, pointer, size, pointer, pointer, whole, whole, pointer]
    lib.pf_join.argtypes = [ctypes.POINTER(Join), size, pointer, pointer, pointer, size]
    return lib


def address(array: NDArray[np.generic]) -> int:
    """Return where an array's numbers lie; it must be held as long as that is used."""
    assert array.flags.c_contiguous
    return array.ctypes.data


def packed(texts: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return texts one after another, and where each starts and the last ends: (bytes,), (texts + 1,)."""
    data = np.frombuffer(b"".join(texts) or b"\0", dtype=np.uint8)
    return data, np.concatenate([[0], np.cumsum([len(text) for text in texts], dtype=np.int64)]).astype(np.int64)
