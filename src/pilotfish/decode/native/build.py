"""Compile the C library with the user's own compiler, once for each machine, source and compiler; load it with ctypes.

The library lies in the user's cache folder under a name made of all it depends on, so nothing stale is ever loaded.
`PILOTFISH_NATIVE=0` turns it off; `CC` chooses the compiler.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from pathlib import Path

from pilotfish._native import NativeUnavailable, compiled, cpu, find_compiler, run, turned_off
from pilotfish.decode.native import _structs

__all__ = ["NativeUnavailable", "compile_library", "library"]

SOURCE = Path(__file__).parent / "csrc"
FLAGS = ("-std=gnu11", "-D_GNU_SOURCE", "-O3", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math")


@functools.cache
def library() -> ctypes.CDLL:
    """Return the library for this machine, compiled now if it never was.

    Raises:
        NativeUnavailable: it is turned off, no compiler is there, or the compiler failed.
    """
    if turned_off():
        raise NativeUnavailable("the native decoder is turned off (PILOTFISH_NATIVE=0)")
    return load(compile_library())


def load(path: Path) -> ctypes.CDLL:
    """Load a compiled library and declare its functions.

    Raises:
        NativeUnavailable: the file cannot be loaded.
    """
    import torch  # noqa: F401 its OpenMP must be loaded first, so that one team of threads serves both

    try:
        lib = ctypes.CDLL(str(path))
    except OSError as error:
        raise NativeUnavailable(f"the native decoder was compiled but does not load: {error}") from error
    size, pointer, threads = ctypes.c_int64, ctypes.c_void_p, ctypes.c_int
    lib.pf_scratch.restype = pointer
    lib.pf_scratch_free.argtypes = [pointer]
    lib.pf_scratch_free.restype = None
    rows = ctypes.POINTER(_structs.Row)
    lib.pf_step.argtypes = [ctypes.POINTER(_structs.Model), rows, size, pointer, threads, pointer, pointer]
    lib.pf_packed_bytes.restype = size
    lib.pf_packed_bytes.argtypes = [size, size, size]
    lib.pf_pack.restype = ctypes.c_double
    lib.pf_pack.argtypes = [pointer, size, size, size, size, pointer, pointer, threads]
    lib.pf_shorten.restype = size
    lib.pf_shorten.argtypes = [pointer, size, size, pointer, pointer, size, threads]
    lib.pf_linear.argtypes = [ctypes.POINTER(_structs.Linear), pointer, size, pointer, threads, size]
    return lib


def compile_library(extra: Sequence[str] = (), *, folder: Path | None = None) -> Path:
    """Return the path of the compiled library; compile it where it is not there yet.

    Args:
        extra: further compiler flags, after the usual ones (`-mno-avx512f`).
        folder: where to keep it; the user's cache folder if None.

    Raises:
        NativeUnavailable: no compiler, or it failed.
    """
    compiler = find_compiler()
    version = run([*compiler, "--version"]).splitlines()[:1]
    facts = [*compiler, *version, *FLAGS, *extra, cpu(), *map(str, _openmp())]

    def make(target: Path) -> None:
        _compile(compiler, extra, target)

    return compiled("step", sorted(SOURCE.glob("*.[ch]")), facts, make, folder)


def _compile(compiler: list[str], extra: Sequence[str], target: Path) -> None:
    """Compile: for this very CPU with threads if that works, else with less."""
    first = ""
    source = str(SOURCE / "step.c")
    for machine in (["-march=native"], ["-mcpu=native"], []):
        for threads in (["-fopenmp", *map(str, _openmp())], ["-fopenmp"], []):
            try:
                run([*compiler, *FLAGS, *machine, *extra, source, "-o", str(target), *threads, "-lm"])
            except NativeUnavailable as error:
                first = first or str(error)
                continue
            return
    raise NativeUnavailable(first)


@functools.cache
def _openmp() -> tuple[Path, ...]:
    """Torch's own OpenMP library, so that torch's threads and ours are the same and never wait against each other."""
    import torch

    base = Path(torch.__file__).parent
    found = [*sorted((base / "lib").glob("libgomp*.so*")), *sorted((base.parent / "torch.libs").glob("libgomp*.so*"))]
    return tuple(found[:1])
