"""Peak memory of this process and its children while a block runs."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import psutil

_LINUX_KIB = 1024


class PeakMemory:
    """Context manager that watches resident memory; read the properties once the block has ended.

    A thread adds up the resident set of this process and of all its living children every `every` seconds. The
    kernel's own high-water mark of this process is used too where it rose during the block, so that a short spike
    between two samples is not missed. Pages that processes share count once in each.
    """

    def __init__(self, every: float = 0.02) -> None:
        self.every = every
        self._start = 0
        self._peak = 0
        self._gpu_peak: int | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._mark = 0

    @property
    def start(self) -> int:
        """Bytes resident when the block began, children included."""
        return self._start

    @property
    def peak(self) -> int:
        """The most bytes resident at any one time, children included."""
        return self._peak

    @property
    def grown(self) -> int:
        """Peak minus start, in bytes: what the block itself added."""
        return self._peak - self._start

    @property
    def gpu_peak(self) -> int | None:
        """The most bytes that torch held on any one GPU; None where torch did not use one."""
        return self._gpu_peak

    def to_json(self) -> dict[str, Any]:
        """Return the bytes as plain data."""
        return {"start": self.start, "peak": self.peak, "grown": self.grown, "gpu_peak": self.gpu_peak}

    def __enter__(self) -> PeakMemory:
        self._process = psutil.Process()
        self._stop.clear()
        self._start = self._peak = self._resident()
        self._mark = _high_water_mark()
        torch = _torch_with_gpu()
        for index in range(torch.cuda.device_count() if torch else 0):
            torch.cuda.reset_peak_memory_stats(index)
        self._thread = threading.Thread(target=self._watch, name="pilotfish-memory", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._peak = max(self._peak, self._resident())
        mark = _high_water_mark()
        if mark > self._mark:
            self._peak = max(self._peak, mark)
        torch = _torch_with_gpu()
        if torch:
            self._gpu_peak = max(torch.cuda.max_memory_allocated(i) for i in range(torch.cuda.device_count()))

    def _watch(self) -> None:
        while not self._stop.wait(self.every):
            self._peak = max(self._peak, self._resident())

    def _resident(self) -> int:
        total = int(self._process.memory_info().rss)
        for child in self._process.children(recursive=True):
            try:
                total += int(child.memory_info().rss)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue  # it ended between the listing and the look
        return total


def _high_water_mark() -> int:
    """Return the most bytes this process ever held, as the kernel counts; 0 where the platform does not say."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _LINUX_KIB


def peak_resident() -> int:
    """Return the most bytes that this process ever held resident, children left out.

    On Linux it is the kernel's mark of this program alone: what `getrusage` gives was, in a process that another one
    started, as much as that one held.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _LINUX_KIB
    return _high_water_mark() or int(psutil.Process().memory_info().rss)


def _torch_with_gpu() -> Any:
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized() else None
