"""Compile the C library with the user's own compiler, once for each machine, source and compiler; load it with ctypes.

The library lies in the user's cache folder under a name made of all it depends on, so nothing stale is ever loaded.
`PILOTFISH_NATIVE=0` turns it off; `CC` chooses the compiler.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pilotfish._home import home
from pilotfish.decode.native import _structs
from pilotfish.errors import ModelError

__all__ = ["NativeUnavailable", "compile_library", "library"]

SOURCE = Path(__file__).parent / "csrc"
FLAGS = ("-std=gnu11", "-D_GNU_SOURCE", "-O3", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math")
_SECONDS = 300  # a loaded machine may be slow; the compiler takes about 10


class NativeUnavailable(ModelError):  # noqa: N818 the name says what it is
    """The native decoder cannot be built or loaded here; the text says why."""


@functools.cache
def library() -> ctypes.CDLL:
    """Return the library for this machine, compiled now if it never was.

    Raises:
        NativeUnavailable: it is turned off, no compiler is there, or the compiler failed.
    """
    if os.environ.get("PILOTFISH_NATIVE", "1") == "0":
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
    version = _run([*compiler, "--version"]).splitlines()[:1]
    sources = sorted(SOURCE.glob("*.[ch]"))
    facts = [*compiler, *version, *FLAGS, *extra, platform.machine(), sys.platform, _cpu(), *map(str, _openmp())]
    key = hashlib.sha256("\0".join(facts).encode())
    for source in sources:
        key.update(source.name.encode() + b"\0" + source.read_bytes())
    folder = folder or home() / "native"
    target = folder / f"step-{key.hexdigest()[:24]}.so"
    if target.is_file():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as scratch:
            made = Path(scratch) / "step.so"
            _compile(compiler, extra, made)
            made.chmod(0o600)
            made.replace(target)  # whoever compiles at the same time makes the same file
    except OSError as error:
        raise NativeUnavailable(
            f"the native decoder cannot be kept in {folder}: {error.strerror or error}; set PILOTFISH_HOME"
        ) from error
    return target


def find_compiler() -> list[str]:
    """Return the C compiler's command.

    Raises:
        NativeUnavailable: none is on the path.
    """
    chosen = os.environ.get("CC", "").split()
    for command in [chosen] if chosen else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(command[0]):
            return command
    what = f"CC={' '.join(chosen)} is not on the path" if chosen else "no C compiler (cc, gcc, clang) is on the path"
    raise NativeUnavailable(f"{what}; install one for the fast CPU decoder (Debian: apt install gcc)")


def _compile(compiler: list[str], extra: Sequence[str], target: Path) -> None:
    """Compile: for this very CPU with threads if that works, else with less."""
    first = ""
    source = str(SOURCE / "step.c")
    for machine in (["-march=native"], ["-mcpu=native"], []):
        for threads in (["-fopenmp", *map(str, _openmp())], ["-fopenmp"], []):
            try:
                _run([*compiler, *FLAGS, *machine, *extra, source, "-o", str(target), *threads, "-lm"])
            except NativeUnavailable as error:
                first = first or str(error)
                continue
            return
    raise NativeUnavailable(first)


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 the user's compiler, our own arguments
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NativeUnavailable(f"the C compiler {command[0]} does not run: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["?"]
        raise NativeUnavailable(f"the C compiler {command[0]} failed: {lines[0].strip()}")
    return done.stdout


@functools.cache
def _openmp() -> tuple[Path, ...]:
    """Torch's own OpenMP library, so that torch's threads and ours are the same and never wait against each other."""
    import torch

    base = Path(torch.__file__).parent
    found = [*sorted((base / "lib").glob("libgomp*.so*")), *sorted((base.parent / "torch.libs").glob("libgomp*.so*"))]
    return tuple(found[:1])


@functools.cache
def _cpu() -> str:
    """What tells this CPU's abilities from another's: the cache folder may be shared between machines."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    wanted = ("flags", "Features", "cpu family", "model\t", "CPU part")
    return "\n".join(sorted({line for line in text.splitlines() if line.startswith(wanted)}))
