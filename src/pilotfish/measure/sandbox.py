"""Run a program that a model wrote: in a process of its own, for a limited time and memory, without a network.

The child has no environment and can start neither processes nor threads. It sees no network (a new network namespace).
Under Landlock it reads Python, its packages and the system's libraries, and writes in a folder of its own; on a kernel
without Landlock it is nobody where we are root, and has the user's own rights to files where we are not. This holds
back slips and mischief of generated code, not an attacker who knows a hole in the kernel.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from pilotfish.errors import ConfigError

__all__ = ["Outcome", "run_python"]

JAIL = Path(__file__).with_name("_jail.py")
SHOWN = 4000  # characters of what the program printed
NO_JAIL = 97  # the child's exit status where it could not be locked in


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended.

    Attributes:
        passed: it came to its end, with exit status 0.
        why: "" where it passed; else "timeout", "memory", or the last line that it printed.
        output: the end of what it printed, both streams.
        seconds: wall time.
    """

    passed: bool
    why: str
    output: str
    seconds: float


def run_python(code: str, *, seconds: float = 10.0, memory: int = 512 << 20) -> Outcome:
    """Run a Python program to its end.

    Args:
        code: the program; it runs as `__main__` with this interpreter's own standard library and packages.
        seconds: the most wall time, and processor time rounded up.
        memory: the most bytes of address space beyond what the interpreter has.

    Raises:
        ConfigError: this machine has no way to keep the program from the network.
    """
    if not sys.platform.startswith("linux"):
        raise ConfigError(f"programs are run in a sandbox that needs Linux, and this is {sys.platform}")
    with tempfile.TemporaryDirectory(prefix="pilotfish-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o777)  # the child may be nobody
        said = Path(folder, ".said")
        began = time.perf_counter()
        with said.open("wb") as out:
            child = subprocess.Popen(  # noqa: S603 our own file and our own interpreter
                [sys.executable, "-I", "-B", str(JAIL), folder, str(seconds), str(memory)],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", "HOME": folder, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,
            )
            late = False
            try:
                child.communicate(code.encode("utf-8", "surrogatepass"), timeout=seconds)
            except subprocess.TimeoutExpired:
                late = True
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        took = time.perf_counter() - began
        output = said.read_bytes()[-4 * SHOWN :].decode("utf-8", "replace")[-SHOWN:]
    if child.returncode == NO_JAIL:
        raise ConfigError(f"no sandbox for programs here: {output.strip()}")
    if child.returncode == 0 and not late:
        return Outcome(True, "", output, took)
    last = output.strip().rpartition("\n")[2]
    if late or child.returncode == -signal.SIGXCPU:
        why = "timeout"
    elif "MemoryError" in last:
        why = "memory"
    else:
        why = last or f"ended by signal {-child.returncode}" if child.returncode < 0 else last or "no reason given"
    return Outcome(False, why, output, took)
