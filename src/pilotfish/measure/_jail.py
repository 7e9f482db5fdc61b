"""The child of `sandbox`: lock this process in, then run the program that comes on standard input.

It imports nothing of pilotfish: it runs with `python -I`, as a file.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import stat
import sys

NEW_USER, NEW_NET = 0x10000000, 0x40000000
NOBODY = 65534
PR_SET_NO_NEW_PRIVS = 38
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
# Rights of Landlock's first version: execute, write, read a file, read a folder, and ten ways to change a folder.
ALL, READ = (1 << 13) - 1, 1 | 1 << 2 | 1 << 3
FILE = 1 | 1 << 1 | 1 << 2
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/proc/self", "/dev/urandom")
PR_SET_KEEPCAPS, CAPABILITIES_3, DAC_READ_SEARCH = 8, 0x20080522, 1 << 2
NO_JAIL = 97


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64),)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def main() -> None:
    """Read the program, give everything up, run it."""
    folder, seconds, memory = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    code = sys.stdin.buffer.read().decode("utf-8", "surrogatepass")
    libc = ctypes.CDLL(None, use_errno=True)
    landlock = libc.syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)) > 0
    root = os.geteuid() == 0
    if libc.unshare(NEW_NET if root else NEW_NET | NEW_USER) != 0:
        _refuse(f"no network namespace ({os.strerror(ctypes.get_errno())})")
    if root:
        _nobody(libc, reads=landlock)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if landlock:
        _files(libc, folder)
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()  # noqa: PTH123, SIM115
    processor = math.ceil(seconds) + 1
    for what, most in (
        (resource.RLIMIT_CPU, processor),
        (resource.RLIMIT_AS, used + memory),
        (resource.RLIMIT_FSIZE, 16 << 20),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))
    sys.argv = ["program"]
    # As a module of its own: what the program defines is found where pickles and dataclasses look for it.
    names = {"__name__": "__main__", "__builtins__": __builtins__}
    sys.modules["__main__"].__dict__.update(names)
    exec(compile(code, "program", "exec"), sys.modules["__main__"].__dict__)  # noqa: S102 it is what we are for


def _nobody(libc: ctypes.CDLL, reads: bool) -> None:
    """Become nobody. `reads`: go on reading whatever root may, since this interpreter may lie in root's own folders."""
    libc.prctl(PR_SET_KEEPCAPS, 1 if reads else 0, 0, 0, 0)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    kept = DAC_READ_SEARCH if reads else 0
    header, sets = (ctypes.c_uint32 * 2)(CAPABILITIES_3, 0), (ctypes.c_uint32 * 6)(kept, kept)
    if libc.capset(ctypes.byref(header), ctypes.byref(sets)) != 0:
        _refuse(f"capabilities cannot be given up ({os.strerror(ctypes.get_errno())})")


def _files(libc: ctypes.CDLL, folder: str) -> None:
    """Let this process read what Python and its packages are, and write beneath one folder alone."""
    ruleset = libc.syscall(
        LANDLOCK_CREATE, ctypes.byref(_Ruleset(ALL)), ctypes.c_size_t(ctypes.sizeof(_Ruleset)), ctypes.c_uint32(0)
    )
    packages = {path for path in (*sys.path, sys.prefix, sys.base_prefix) if os.path.isdir(path)}  # noqa: PTH112
    system = [path for path in SYSTEM if os.path.exists(path)]  # noqa: PTH110
    rights = dict.fromkeys([*packages, *system], READ) | {folder: ALL, "/dev/null": FILE}
    for path, allowed in rights.items():
        at = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = _Beneath(allowed if stat.S_ISDIR(os.fstat(at).st_mode) else allowed & FILE, at)
        if libc.syscall(LANDLOCK_ADD, ruleset, ctypes.c_int(1), ctypes.byref(rule), ctypes.c_uint32(0)) != 0:
            _refuse(f"Landlock takes no rule for {path} ({os.strerror(ctypes.get_errno())})")
        os.close(at)
    if libc.syscall(LANDLOCK_RESTRICT, ruleset, ctypes.c_uint32(0)) != 0:
        _refuse(f"Landlock cannot be entered ({os.strerror(ctypes.get_errno())})")


def _refuse(why: str) -> None:
    print(why, flush=True)  # noqa: T201 the parent reads it
    os._exit(NO_JAIL)


main()
