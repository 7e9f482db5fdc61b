"""Compile the hashing with the user's own compiler, once for each machine, and load it with ctypes; numpy does without.

`PILOTFISH_NATIVE=0` turns it off; `CC` chooses the compiler.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

from pilotfish._native import NativeUnavailable, plain, turned_off

__all__ = ["library"]

SOURCE = Path(__file__).parent / "_hash.c"
FLAGS = ("-std=gnu11", "-O3", "-shared", "-fPIC")


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the library for this machine, compiled now if it never was; None where that cannot be."""
    if turned_off():
        return None
    try:
        lib = ctypes.CDLL(str(plain(SOURCE, FLAGS)))
    except (NativeUnavailable, OSError):
        return None
    pointer, size = ctypes.c_void_p, ctypes.c_int64
    lib.pf_buckets.restype = size
    lib.pf_buckets.argtypes = [pointer, pointer, size, pointer, ctypes.c_int, ctypes.c_int]
    lib.pf_buckets.argtypes += [pointer, ctypes.c_uint32, pointer, pointer, pointer]
    return lib
