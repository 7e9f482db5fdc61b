"""Compile the hashing with the user's own compiler, once for each machine, and load it with ctypes; numpy does without.

`PILOTFISH_NATIVE=0` turns it off; `CC` chooses the compiler.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from pilotfish._home import home
from pilotfish.decode.native.build import NativeUnavailable, find_compiler

__all__ = ["library"]

SOURCE = Path(__file__).parent / "_hash.c"
FLAGS = ("-std=gnu11", "-O3", "-shared", "-fPIC")


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the library for this machine, compiled now if it never was; None where that cannot be."""
    if os.environ.get("PILOTFISH_NATIVE", "1") == "0":
        return None
    try:
        lib = ctypes.CDLL(str(_compiled()))
    except (NativeUnavailable, OSError, subprocess.SubprocessError):
        return None
    pointer, size = ctypes.c_void_p, ctypes.c_int64
    lib.pf_buckets.restype = size
    lib.pf_buckets.argtypes = [pointer, pointer, size, pointer, ctypes.c_int, ctypes.c_int]
    lib.pf_buckets.argtypes += [pointer, ctypes.c_uint32, pointer, pointer, pointer]
    return lib


def _compiled() -> Path:
    compiler = find_compiler()
    facts = "\0".join([*compiler, *FLAGS, platform.machine(), sys.platform]).encode()
    folder = home() / "native"
    target = folder / f"hash-{hashlib.sha256(facts + SOURCE.read_bytes()).hexdigest()[:24]}.so"
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as scratch:
        made = Path(scratch) / "hash.so"
        subprocess.run(  # noqa: S603 the user's compiler, our own arguments
            [*compiler, *FLAGS, str(SOURCE), "-o", str(made)], check=True, capture_output=True, timeout=120
        )
        made.chmod(0o600)
        made.replace(target)  # whoever compiles at the same time makes the same file
    return target
