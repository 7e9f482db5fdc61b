"""Energy of a block of code: measured where the machine can, else estimated, and always labelled which.

Sources of the readings: the Linux powercap interface (RAPL; Documentation/power/powercap) for CPU packages and memory,
NVML for NVIDIA GPUs. Without RAPL the estimate is CPU seconds times a stated number of watts a busy core.
"""

from __future__ import annotations

import importlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from pilotfish.errors import DataError

Kind = Literal["measured", "estimated"]
POWERCAP = Path("/sys/class/powercap")
WATTS_PER_CORE = 8.0
# Counters wrap after tens of minutes at full power; reading them this often never misses a wrap.
_READ_EVERY = 20.0


@dataclass(frozen=True, slots=True)
class EnergyPart:
    """Joules of one part of the machine, and how they are known."""

    part: str
    joules: float
    kind: Kind
    basis: str


@dataclass(frozen=True, slots=True)
class Energy:
    """The joules of a block, as the sum of its parts."""

    parts: tuple[EnergyPart, ...]

    @property
    def joules(self) -> float:
        """The sum over the parts."""
        return sum(part.joules for part in self.parts)

    @property
    def kind(self) -> Kind:
        """Whether every part is "measured"; one "estimated" part makes the sum estimated."""
        return "measured" if all(part.kind == "measured" for part in self.parts) else "estimated"

    @property
    def basis(self) -> str:
        """How each part is known, in one line."""
        return "; ".join(f"{part.part}: {part.kind}, {part.basis}" for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        """Return joules, kind and basis as plain data."""
        return {"joules": self.joules, "kind": self.kind, "basis": self.basis}

    def __str__(self) -> str:
        return f"{self.joules:.3g} J ({self.basis})"


class EnergyMeter:
    """Context manager; `.energy` holds the reading once the block has ended.

    RAPL and NVML see the whole machine, so other work on it counts too; the basis says so.

    Args:
        powercap: where the kernel shows its energy counters.
        watts_per_core: for the estimate, the watts of one busy core.
    """

    def __init__(self, powercap: Path = POWERCAP, watts_per_core: float = WATTS_PER_CORE) -> None:
        self.powercap = powercap
        self.watts_per_core = watts_per_core
        self._energy: Energy | None = None

    @property
    def energy(self) -> Energy:
        """The reading.

        Raises:
            DataError: the block has not ended yet.
        """
        if self._energy is None:
            raise DataError("the energy is known once the `with` block has ended")
        return self._energy

    def __enter__(self) -> EnergyMeter:
        self._energy = None
        self._rapl = RaplCounter(self.powercap)
        self._gpus = _nvml_millijoules()
        self._cpu = cpu_seconds()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pilotfish-energy", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        busy = max(0.0, cpu_seconds() - self._cpu)
        if self._rapl.zones:
            self._rapl.read()
            names = ", ".join(self._rapl.names)
            cpu = EnergyPart("CPU", self._rapl.joules, "measured", f"RAPL of the whole machine ({names})")
        else:
            basis = f"{busy:.3g} CPU seconds x {self.watts_per_core:g} W a core, memory and idle power left out"
            cpu = EnergyPart("CPU", busy * self.watts_per_core, "estimated", basis)
        parts = [cpu]
        gpus = _nvml_millijoules()
        if gpus is not None and self._gpus is not None:
            basis = f"NVML of the whole machine ({len(gpus)} GPU)"
            spent = sum(after - before for before, after in zip(self._gpus, gpus, strict=True)) / 1000
            parts.append(EnergyPart("GPU", spent, "measured", basis))
        self._energy = Energy(tuple(parts))

    def _watch(self) -> None:
        while not self._stop.wait(_READ_EVERY):
            self._rapl.read()


class RaplCounter:
    """Adds up the energy counters of CPU packages and memory that this user may read.

    Attributes:
        zones: the counters' folders; empty where there are none or none is readable (root only, on most systems).
        names: their names, as the kernel gives them.
        joules: energy since the counter was built, as of the last `read`.
    """

    def __init__(self, root: Path = POWERCAP) -> None:
        self.zones: list[Path] = []
        self.names: list[str] = []
        self.joules = 0.0
        self._lock = threading.Lock()
        self._last: list[int] = []
        self._range: list[int] = []
        for zone in sorted(root.glob("intel-rapl:*")):
            try:
                name = (zone / "name").read_text(encoding="ascii").strip()
                # `core` and `uncore` lie within a package, `psys` around it: counting them too would count twice.
                if not name.startswith("package") and name != "dram":
                    continue
                last = int((zone / "energy_uj").read_text(encoding="ascii"))
                span = int((zone / "max_energy_range_uj").read_text(encoding="ascii"))
            except (OSError, ValueError):
                continue  # not ours to read: the label then says "estimated"
            self.zones.append(zone)
            self.names.append(name)
            self._last.append(last)
            self._range.append(span)
        if not any(name.startswith("package") for name in self.names):
            self.zones, self.names = [], []

    def read(self) -> float:
        """Add what each counter gained, across a wrap too, and return the joules so far."""
        with self._lock:
            for index, zone in enumerate(self.zones):
                now = int((zone / "energy_uj").read_text(encoding="ascii"))
                gained = now - self._last[index]
                if gained < 0:
                    gained += self._range[index]
                self._last[index] = now
                self.joules += gained / 1e6
            return self.joules


def cpu_seconds() -> float:
    """Return user and system CPU seconds of this process and its children, ended or alive."""
    own = os.times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it ended between the listing and the look
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _nvml_millijoules() -> list[int] | None:
    """Return the energy counter of each GPU, or None without pynvml, without a driver, or on GPUs too old to count."""
    try:
        pynvml = importlib.import_module("pynvml")  # comes with nvidia-ml-py; used where it is there
    except ModuleNotFoundError:
        return None
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return [int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) for handle in handles] or None
    except pynvml.NVMLError:
        return None
