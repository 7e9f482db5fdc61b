from __future__ import annotations

import gc
import mmap
import multiprocessing
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest

from pilotfish.errors import DataError
from pilotfish.measure._energy import RaplCounter
from pilotfish.measure.meters import (
    EnergyMeter,
    Latency,
    Meter,
    PeakMemory,
    cpu_seconds,
    machine,
    measure_latency,
    peak_resident,
)

MIB = 2**20


def test_latency_counts_what_it_should() -> None:
    calls: list[int] = []

    def slow(rows: Sequence[int]) -> None:
        calls.append(len(rows))
        time.sleep(0.002 * len(rows))

    single = measure_latency(slow, range(10), warmup=2)
    assert len(calls) == 12 and single.rows == (1,) * 10
    assert 0.002 <= single.p50 < 0.02 and single.p50 <= single.p95
    batched = measure_latency(slow, range(10), batch=4, repeats=2, warmup=0)
    assert batched.rows == (4, 4, 2) * 2 and batched.batch == 4
    assert 100 < batched.rows_per_second <= 500
    assert single.to_json()["calls"] == 10


def test_latency_percentiles_and_limit() -> None:
    latency = Latency(tuple(i / 1000 for i in range(1, 101)), (2,) * 100, 2)
    assert latency.p50 == pytest.approx(0.0505) and latency.p95 == pytest.approx(0.09505)
    assert latency.rows_per_second == pytest.approx(200 / 5.05)
    assert str(latency) == "p50 50.5 ms, p95 95 ms, 39.6 rows/s"
    short = measure_latency(lambda _: time.sleep(0.01), range(1000), warmup=0, max_seconds=0.03)
    assert 1 <= len(short.seconds) <= 4
    with pytest.raises(DataError, match="at least one input"):
        measure_latency(print, [])


def test_peak_memory_sees_a_spike_that_is_gone_at_the_end() -> None:
    with PeakMemory() as memory:
        block = np.ones(150 * MIB // 8)
        time.sleep(0.1)
        del block
    assert memory.grown > 120 * MIB
    assert memory.peak == memory.start + memory.grown
    assert memory.to_json()["peak"] == memory.peak
    assert psutil.Process().memory_info().rss < memory.peak


def test_peak_memory_counts_children_and_survives_their_death() -> None:
    code = "import time; block = bytearray(120 * 2**20); time.sleep(0.5)"
    with PeakMemory() as memory:
        subprocess.run([sys.executable, "-c", code], check=True)
    assert memory.grown > 100 * MIB


def rapl(root: Path, zone: str, name: str, energy: int, span: int = 1_000_000) -> Path:
    folder = root / zone
    folder.mkdir(parents=True)
    (folder / "name").write_text(name + "\n")
    (folder / "energy_uj").write_text(f"{energy}\n")
    (folder / "max_energy_range_uj").write_text(f"{span}\n")
    return folder


def test_rapl_adds_packages_and_memory_across_a_wrap(tmp_path: Path) -> None:
    first = rapl(tmp_path, "intel-rapl:0", "package-0", 900_000)
    rapl(tmp_path, "intel-rapl:0:0", "core", 5)
    memory = rapl(tmp_path, "intel-rapl:0:1", "dram", 100)
    rapl(tmp_path, "intel-rapl:1", "psys", 7)
    counter = RaplCounter(tmp_path)
    assert counter.names == ["package-0", "dram"]
    (first / "energy_uj").write_text("100000")  # wrapped: 0.1 J before the end, 0.1 J after
    (memory / "energy_uj").write_text("50100")
    assert counter.read() == pytest.approx(0.2 + 0.05)
    (first / "energy_uj").write_text("600000")
    assert counter.read() == pytest.approx(0.75)


def test_energy_is_measured_where_rapl_is_readable(tmp_path: Path) -> None:
    zone = rapl(tmp_path, "intel-rapl:0", "package-0", 0, 10**12)
    with EnergyMeter(tmp_path) as meter:
        (zone / "energy_uj").write_text("2500000")
    cpu = meter.energy.parts[0]
    assert (cpu.kind, cpu.joules) == ("measured", 2.5)
    assert "RAPL" in meter.energy.basis and "whole machine" in meter.energy.basis


def test_energy_is_an_estimate_and_says_so_where_rapl_is_not(tmp_path: Path) -> None:
    rapl(tmp_path, "intel-rapl:0", "not a package", 0)
    with EnergyMeter(tmp_path, watts_per_core=10) as meter:
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass
        with pytest.raises(DataError, match="has ended"):
            _ = meter.energy
    energy = meter.energy
    assert energy.kind == "estimated" and energy.to_json()["kind"] == "estimated"
    assert 1.8 < energy.parts[0].joules < 6
    assert "CPU seconds x 10 W a core" in str(energy)


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_cpu_seconds_include_children_alive_and_ended() -> None:
    before = cpu_seconds()
    child = multiprocessing.get_context("fork").Process(target=burn, args=(0.3,))
    child.start()
    time.sleep(0.2)
    alive = cpu_seconds()
    child.join()
    assert before < alive
    assert cpu_seconds() - before > 0.25


def test_meter_reads_everything_at_once(tmp_path: Path) -> None:
    meter = Meter(powercap=tmp_path)
    with pytest.raises(DataError, match="has ended"):
        _ = meter.reading
    gc.collect()  # what others left would be freed meanwhile
    with meter:
        block = mmap.mmap(-1, 60 * MIB)  # fresh pages: an allocator may have freed ones left
        block[:] = bytes(60 * MIB)
        burn(0.1)
    reading = meter.reading
    assert 0.1 <= reading.seconds < 5
    assert 0.085 <= reading.cpu_seconds < 5  # the clock ticks every 10 ms
    assert reading.grown_memory > 40 * MIB and len(block)
    assert reading.energy.kind == "estimated"
    assert "estimated" in str(reading)
    assert set(reading.to_json()) >= {"seconds", "peak_memory", "energy"}


def test_machine_tells_what_matters_and_nothing_that_identifies() -> None:
    facts = machine()
    assert facts["cores"] >= 1 and facts["memory"] > 2**28 and facts["python"] == platform.python_version()
    shown = str(facts)
    assert socket.gethostname() not in facts.values()
    assert str(Path.home()) not in shown and str(Path.cwd()) not in shown


def test_torch_shows_only_where_it_is_loaded() -> None:
    code = "import sys; from pilotfish.measure import machine; assert not {'torch'} & {*machine(), *sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_peak_of_a_process_is_its_own_and_not_its_parents() -> None:
    held = np.ones(80 * 2**20, dtype=np.uint8)  # 80 MiB, here
    script = (
        "import numpy as np\nfrom pilotfish.measure.meters import peak_resident\n"
        "before = peak_resident()\nspike = np.ones(60 * 2**20, dtype=np.uint8)\ndel spike\n"
        "print(before, peak_resident())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert peak_resident() > held.nbytes
    assert before < peak_resident() and 55 * 2**20 < after - before < 90 * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="the counts are Linux's")
def test_waiting_for_a_core_is_counted() -> None:
    one = sorted(os.sched_getaffinity(0))[0]
    script = (
        "import os, time\n"
        f"os.sched_setaffinity(0, {{{one}}})\n"
        "from pilotfish.measure.meters import waited_seconds\n"
        "if os.fork() == 0:\n"
        "    end = time.monotonic() + 1.0\n"
        "    while time.monotonic() < end: pass\n"
        "    os._exit(0)\n"
        "before = waited_seconds()\nend = time.monotonic() + 0.6\n"
        "while time.monotonic() < end: pass\n"
        "print(waited_seconds() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    # Two that want one core: each waits half of the time, whatever else the machine does.
    assert float(done.stdout) > 0.15
