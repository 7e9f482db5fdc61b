"""Compile the hashing and the bag's learning with the user's own compiler, once a machine; numpy does without.

`PILOTFISH_NATIVE=0` turns it off; `CC` chooses the compiler.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

from pilotfish._native import NativeUnavailable, for_this_cpu, plain, turned_off

__all__ = ["bag_library", "library"]

HERE = Path(__file__).parent
FLAGS = ("-std=gnu11", "-O3", "-shared", "-fPIC")


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the library for this machine, compiled now if it never was; None where that cannot be."""
    if turned_off():
        return None
    try:
        lib = ctypes.CDLL(str(plain(HERE / "_buckets.c", FLAGS)))
    except (NativeUnavailable, OSError):
        return None
    pointer, size = ctypes.c_void_p, ctypes.c_int64
    lib.pf_buckets.restype = size
    lib.pf_buckets.argtypes = [pointer, pointer, size, pointer, *[ctypes.c_int] * 4]
    lib.pf_buckets.argtypes += [pointer, ctypes.c_uint32, pointer, pointer, pointer]
    return lib


@functools.cache
def bag_library() -> ctypes.CDLL | None:
    """Return what learns a bag's vectors, compiled now if it never was; None where that cannot be."""
    if turned_off():
        return None
    try:
        lib = ctypes.CDLL(str(for_this_cpu(HERE / "_bag.c", (*FLAGS, "-fopenmp-simd"), ["-lm"])))
    except (NativeUnavailable, OSError):
        return None
    pointer, size, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
    lib.pf_bag.restype = None
    lib.pf_bag.argtypes = [pointer, pointer, pointer, size, pointer, size, size, number, pointer, pointer, pointer]
    return lib
