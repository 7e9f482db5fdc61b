"""Compile C with the user's own compiler, once for each machine, source and compiler, and keep it in the cache folder.

A library's name is made of all it depends on, so nothing stale is ever loaded. `PILOTFISH_NATIVE=0` turns all of it
off; `CC` chooses the compiler.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pilotfish._home import home
from pilotfish.errors import ModelError

__all__ = ["NativeUnavailable", "compiled", "cpu", "find_compiler", "for_this_cpu", "plain", "run", "turned_off"]

_SECONDS = 300  # a loaded machine may be slow; the largest takes about 10


class NativeUnavailable(ModelError):  # noqa: N818 the name says what it is
    """What is written in C cannot be built or loaded here; the text says why."""


def turned_off() -> bool:
    """Say whether the user wants no native code."""
    return os.environ.get("PILOTFISH_NATIVE", "1") == "0"


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
    raise NativeUnavailable(f"{what}; install one for the fast CPU code (Debian: apt install gcc)")


def plain(source: Path, flags: Sequence[str]) -> Path:
    """Return the library of one source, compiled for any CPU of this kind.

    Raises:
        NativeUnavailable: no compiler, or it failed.
    """
    compiler = find_compiler()
    stem = source.stem.strip("_")

    def make(target: Path) -> None:
        run([*compiler, *flags, str(source), "-o", str(target)])

    return compiled(stem, [source], [*compiler, *flags], make)


def for_this_cpu(source: Path, flags: Sequence[str], libraries: Sequence[str] = ()) -> Path:
    """Return the library of one source, compiled for this very CPU where the compiler knows it.

    Raises:
        NativeUnavailable: no compiler, or it failed.
    """
    compiler = find_compiler()
    version = run([*compiler, "--version"]).splitlines()[:1]

    def make(target: Path) -> None:
        first: NativeUnavailable | None = None
        for machine in (["-march=native"], ["-mcpu=native"], []):
            try:
                run([*compiler, *flags, *machine, str(source), "-o", str(target), *libraries])
            except NativeUnavailable as error:
                first = first or error
                continue
            return
        assert first is not None
        raise first

    return compiled(source.stem.strip("_"), [source], [*compiler, *version, *flags, *libraries, cpu()], make)


def compiled(
    stem: str, sources: Sequence[Path], facts: Sequence[str], make: Callable[[Path], None], folder: Path | None = None
) -> Path:
    """Return the path of a compiled library; make it where it is not there yet.

    Args:
        stem: what its name begins with.
        sources: the files that it is made of.
        facts: whatever else it depends on, beside the kind of machine.
        make: compiles them to the path it is given.
        folder: where to keep it; the user's cache folder if None.

    Raises:
        NativeUnavailable: it cannot be kept, or `make` raises it.
    """
    key = hashlib.sha256("\0".join([*facts, platform.machine(), sys.platform]).encode())
    for source in sources:
        key.update(source.name.encode() + b"\0" + source.read_bytes())
    folder = folder or home() / "native"
    target = folder / f"{stem}-{key.hexdigest()[:24]}.so"
    if target.is_file():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as scratch:
            made = Path(scratch) / "made.so"
            make(made)
            made.chmod(0o600)
            made.replace(target)  # whoever compiles at the same time makes the same file
    except OSError as error:
        raise NativeUnavailable(
            f"compiled code cannot be kept in {folder}: {error.strerror or error}; set PILOTFISH_HOME"
        ) from error
    return target


def run(command: Sequence[str]) -> str:
    """Run the compiler and return what it prints.

    Raises:
        NativeUnavailable: it does not run, or failed.
    """
    try:
        done = subprocess.run(  # noqa: S603 the user's compiler, our own arguments
            list(command), capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NativeUnavailable(f"the C compiler {command[0]} does not run: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["?"]
        raise NativeUnavailable(f"the C compiler {command[0]} failed: {lines[0].strip()}")
    return done.stdout


@functools.cache
def cpu() -> str:
    """Return what tells this CPU's abilities from another's: the cache folder may be shared between machines."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    wanted = ("flags", "Features", "cpu family", "model\t", "CPU part")
    return "\n".join(sorted({line for line in text.splitlines() if line.startswith(wanted)}))
