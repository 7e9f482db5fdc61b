"""The C of late interaction, compiled once for this CPU and loaded with ctypes; numpy does without.

`PILOTFISH_NATIVE=0` turns it off; `CC` chooses the compiler.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._native import NativeUnavailable, for_this_cpu, turned_off

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Asked", "Cells", "Index", "Segment", "address", "called", "library", "threads_here"]

SOURCE = Path(__file__).parent / "_late.c"
FLAGS = ("-std=gnu11", "-O3", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math")
LIBRARIES = ("-lm", "-lpthread")

_pointer, _size, _whole = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32


class Cells(ctypes.Structure):
    """Centroids in groups, as the C file has them."""

    _fields_ = (
        ("heads", _pointer),
        ("head_panels", _size),
        ("groups", _size),
        ("probed", _size),
        ("starts", _pointer),
        ("panels", _pointer),
        ("ids", _pointer),
        ("d", _size),
    )


class Segment(ctypes.Structure):
    """A segment of an index, as the C file has it."""

    _fields_ = (
        ("codes", _pointer),
        ("residuals", _pointer),
        ("starts", _pointer),
        ("cells", _pointer),
        ("cell_starts", _pointer),
        ("members", _pointer),
        ("n_cells", _size),
        ("documents", _size),
        ("first", _size),
    )


class Index(ctypes.Structure):
    """An index, as the C file has it."""

    _fields_ = (
        ("centroids", _pointer),
        ("weights", _pointer),
        ("n_centroids", _size),
        ("d", _size),
        ("n_segments", _size),
        ("documents", _size),
        ("segments", ctypes.POINTER(Segment)),
        ("bits", _whole),
        ("wide", _whole),
    )


class Asked(ctypes.Structure):
    """What a search is asked, as the C file has it."""

    _fields_ = (
        ("k", _size),
        ("probes", _size),
        ("candidates", _size),
        ("threshold", ctypes.c_float),
        ("threads", _whole),
        ("alive", _pointer),
        ("n_alive", _size),
    )


def library() -> ctypes.CDLL | None:
    """Return the library for this machine, compiled now if it never was; None where that cannot be."""
    return None if turned_off() else _loaded()


@functools.cache
def _loaded() -> ctypes.CDLL | None:
    try:
        lib = ctypes.CDLL(str(for_this_cpu(SOURCE, FLAGS, LIBRARIES)))
    except (OSError, NativeUnavailable):
        return None
    point = ctypes.POINTER
    lib.pf_late_maxsim.argtypes = [_pointer, _size, _size, _pointer, _pointer, _size, _pointer, ctypes.c_int]
    lib.pf_late_assign.argtypes = [point(Cells), _pointer, _size, _pointer, ctypes.c_int]
    lib.pf_late_sums.argtypes = [_pointer, _size, _size, _pointer, _pointer, _pointer]
    lib.pf_late_sums.restype = None
    lib.pf_late_pack.argtypes = [_pointer, _pointer, _size, _size, _pointer, _pointer, ctypes.c_int, _pointer]
    lib.pf_late_pack.restype = None
    lib.pf_late_search.argtypes = [point(Index), point(Asked), _pointer, _pointer, _size, _pointer, _pointer]
    return lib


def called(function: Callable[..., int], *arguments: Any) -> None:
    """Call a function that says by its result whether it had the memory that it needs.

    Raises:
        MemoryError: it had not.
    """
    if function(*arguments):
        raise MemoryError("late interaction: no memory for a search or for centroids")


def address(array: NDArray[np.generic]) -> int:
    """Return where an array's numbers lie; it must be held as long as that is used."""
    assert array.flags.c_contiguous
    return array.ctypes.data


def threads_here(threads: int | None) -> int:
    """Return how many threads to use: as told, else as many as this process may run on cores."""
    import os

    if threads is not None:
        return max(1, threads)
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
