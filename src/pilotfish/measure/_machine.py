"""What machine the numbers were taken on, without anything that identifies it: no host name, no path."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

import psutil

# Those that decide how fast models run here; a full list would bury them.
_TELLING = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "sve", "i8mm")


def machine() -> dict[str, Any]:
    """Return CPU, cores, memory (bytes), system, Python, instruction sets, and torch with its GPUs if it is loaded."""
    facts: dict[str, Any] = {
        "cpu": _cpu_name(),
        "cores": usable_cores(),
        "cores_physical": psutil.cpu_count(logical=False),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "instructions": _instructions(),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        facts["torch"] = str(torch.__version__)
        facts["torch_threads"] = torch.get_num_threads()
        if torch.cuda.is_available():
            count = torch.cuda.device_count()
            facts["gpus"] = [torch.cuda.get_device_properties(i).name for i in range(count)]
    return facts


def usable_cores() -> int:
    """Return how many cores this process may run on, which in a container is often fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def waited_seconds() -> float | None:
    """Return the seconds that this process's threads stood ready and had no core; None where the system does not say.

    Of threads that are alive; what other work on the machine took from a measurement shows in how much it grows.
    """
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        return None
    total = 0
    for task in tasks.iterdir():
        try:
            total += int((task / "schedstat").read_text(encoding="ascii").split()[1])
        except FileNotFoundError:
            if not (tasks / str(os.getpid()) / "schedstat").exists():
                return None  # a kernel without these counts
            continue  # the thread ended between the listing and the look
    return total / 1e9


def _memory() -> int:
    total = int(psutil.virtual_memory().total)
    limit = Path("/sys/fs/cgroup/memory.max")
    try:
        text = limit.read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(text)) if text.isdigit() else total


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return {}
    first = path.read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _cpu_name() -> str:
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def _instructions() -> list[str]:
    info = _cpuinfo()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    return [name for name in _TELLING if name in flags]
