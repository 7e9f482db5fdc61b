"""What a run costs in time, memory and energy, and on which machine.

`Meter` takes all of it at once:

    with Meter() as meter:
        model.fit(rows)
    print(meter.reading)
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotfish.errors import DataError
from pilotfish.measure._energy import POWERCAP, WATTS_PER_CORE, Energy, EnergyMeter, EnergyPart, cpu_seconds
from pilotfish.measure._latency import Latency, measure_latency
from pilotfish.measure._machine import machine, usable_cores, waited_seconds
from pilotfish.measure._memory import PeakMemory, peak_resident

__all__ = [
    "Energy",
    "EnergyMeter",
    "EnergyPart",
    "Latency",
    "Meter",
    "PeakMemory",
    "Reading",
    "cpu_seconds",
    "machine",
    "measure_latency",
    "peak_resident",
    "usable_cores",
    "waited_seconds",
]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a block took.

    Attributes:
        seconds: wall-clock seconds.
        cpu_seconds: user and system seconds over all cores, children included.
        peak_memory: the most bytes resident at any one time, children included.
        grown_memory: that minus what was resident at the start.
        gpu_memory: the most bytes torch held on one GPU, or None.
        energy: joules, measured or estimated, with the basis.
    """

    seconds: float
    cpu_seconds: float
    peak_memory: int
    grown_memory: int
    gpu_memory: int | None
    energy: Energy

    def to_json(self) -> dict[str, Any]:
        """Return the reading as plain data."""
        return {
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "peak_memory": self.peak_memory,
            "grown_memory": self.grown_memory,
            "gpu_memory": self.gpu_memory,
            "energy": self.energy.to_json(),
        }

    def __str__(self) -> str:
        energy = f"{self.energy.joules:.3g} J {self.energy.kind}"
        return f"{self.seconds:.3g} s, {self.cpu_seconds:.3g} CPU s, {self.peak_memory / 2**20:.0f} MiB peak, {energy}"


class Meter:
    """Context manager over wall time, CPU time, peak memory and energy; `.reading` once the block has ended.

    Args:
        powercap: where the kernel shows its energy counters.
        watts_per_core: for the energy estimate where no counter is readable.
    """

    def __init__(self, powercap: Path = POWERCAP, watts_per_core: float = WATTS_PER_CORE) -> None:
        self._energy = EnergyMeter(powercap, watts_per_core)
        self._memory = PeakMemory()
        self._reading: Reading | None = None

    @property
    def reading(self) -> Reading:
        """What the block took.

        Raises:
            DataError: the block has not ended yet.
        """
        if self._reading is None:
            raise DataError("the reading is known once the `with` block has ended")
        return self._reading

    def __enter__(self) -> Meter:
        self._reading = None
        self._memory.__enter__()
        self._energy.__enter__()
        self._cpu = cpu_seconds()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.perf_counter() - self._start
        busy = max(0.0, cpu_seconds() - self._cpu)
        self._energy.__exit__()
        self._memory.__exit__()
        memory = self._memory
        self._reading = Reading(seconds, busy, memory.peak, memory.grown, memory.gpu_peak, self._energy.energy)
