"""What an exported folder takes and is worth: measured in a process that holds nothing else.

The process is fresh, so that its memory and its start are those of a deployment. First single rows are timed, then rows
in batches; what these say is scored.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.constrained.doing import Doing
from pilotfish.compete.constrained.manifest import Manifest
from pilotfish.compete.constrained.opened import open as opened
from pilotfish.compete.constrained.task import FitTask
from pilotfish.errors import DataError, ModelError
from pilotfish.measure.meters import EnergyMeter, cpu_seconds, machine, measure_latency, peak_resident, waited_seconds
from pilotfish.rows._atomic import atomic

__all__ = ["How", "Measured", "apart", "measured_here"]

SINGLE = 200  # rows at most that are timed one by one


@dataclass(frozen=True)
class How:
    """How a candidate is measured.

    Attributes:
        seconds: of timing single rows, and of batches, at most.
        batch: rows of a batch.
        new_tokens: that a text is gone on with.
        threads: processor threads; None is every core that the process may use.
        limit: seconds after which a candidate's process is ended and the candidate counts as failed.
    """

    seconds: float = 10.0
    batch: int = 32
    new_tokens: int = 16
    threads: int | None = None
    limit: float = 1800.0


@dataclass(frozen=True)
class Measured:
    """What was measured of a folder.

    Attributes:
        cold_start: seconds from the start of the process to its first answer.
        memory: bytes resident at the peak of the whole process; `memory_single` at that of its single rows.
        p50: seconds of a single row; and `p95`, over `singles` rows.
        rows_per_second: in batches.
        joules: of a single row; and `joules_batched`, of a row in a batch.
        energy: "measured" or "estimated"; and `energy_basis`, how it is known.
        disk: bytes of the folder.
        scores: (rows, numbers); see `value_of`.
        about: runtime and version, and how its weights are held.
        machine: processor, cores, instruction sets.
        waited: of the time that it wanted to run, the share in which other work had the cores; None where the system
            does not say. Times and energies taken while this is far from 0 are too high.
    """

    cold_start: float
    memory: int
    memory_single: int
    p50: float
    p95: float
    singles: int
    rows_per_second: float
    batch: int
    joules: float
    joules_batched: float
    energy: str
    energy_basis: str
    disk: int
    scores: list[list[float]] = field(repr=False)
    about: str = ""
    machine: dict[str, Any] = field(default_factory=dict, repr=False)
    waited: float | None = None

    @property
    def table(self) -> NDArray[np.float64]:
        """The scores as an array."""
        return np.array(self.scores, dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @property
    def figures(self) -> dict[str, Any]:
        """All but the scores, as plain data."""
        return {name: value for name, value in asdict(self).items() if name != "scores"}


def measured_here(folder: Path, task: FitTask, how: How, started: float) -> Measured:
    """Measure a folder in this process.

    Args:
        folder: that was exported.
        task: rows to do.
        how: settings.
        started: `time.monotonic()` at the start of the process.
    """
    model = opened(folder, threads=how.threads)
    doing = Doing(task, model, how.new_tokens)
    rows = list(task.rows)
    doing.done(rows[:1])
    cold = time.monotonic() - started
    few = rows[:SINGLE]
    doing.done(rows[1:2] or rows[:1])
    waited, busy = waited_seconds(), cpu_seconds()
    with EnergyMeter() as meter:
        single = measure_latency(doing.done, few, warmup=0, max_seconds=how.seconds)
    spent = meter.energy
    memory = peak_resident()
    scores: list[list[float]] = []
    with EnergyMeter() as meter:
        if task.sort == "text":
            many = measure_latency(doing.done, rows, batch=how.batch, warmup=0, max_seconds=how.seconds)
        else:  # to do a row is to score it
            many = measure_latency(lambda part: scores.extend(doing.scored(part)), rows, batch=how.batch, warmup=0)
    waited = None if waited is None else max(0.0, (waited_seconds() or 0.0) - waited)
    busy = cpu_seconds() - busy
    for start in range(len(scores), len(rows), how.batch):
        scores += doing.scored(rows[start : start + how.batch])
    manifest = Manifest.load(folder)
    return Measured(
        cold_start=cold,
        memory=peak_resident(),
        memory_single=memory,
        p50=single.p50,
        p95=single.p95,
        singles=len(single.seconds),
        rows_per_second=many.rows_per_second,
        batch=how.batch,
        joules=spent.joules / sum(single.rows),
        joules_batched=meter.energy.joules / sum(many.rows),
        energy=spent.kind,
        energy_basis=spent.basis,
        disk=manifest.disk,
        scores=scores,
        about="; ".join(filter(None, [_about(model), str(manifest.facts.get("held", ""))])),
        machine=machine(),
        waited=None if waited is None else waited / max(waited + busy, 1e-9),
    )


def apart(folder: Path, task: Path, how: How, out: Path, *, only_scores: bool = False) -> dict[str, Any]:
    """Measure a folder in a process of its own; return what it wrote into `out`.

    Args:
        folder: that was exported.
        task: the file of the rows.
        how: settings.
        out: the file of the result.
        only_scores: score the rows, after every file was held against its checksum; time nothing.

    Raises:
        ModelError: the process failed, was killed, or took too long; the text is its last line.
    """
    command = [sys.executable, "-m", "pilotfish.compete.constrained.worker", str(folder), str(task), str(out)]
    command += [json.dumps(asdict(how)), str(time.monotonic()), "scores" if only_scores else "all"]
    threads = {} if how.threads is None else {"OMP_NUM_THREADS": str(how.threads)}
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", **threads}
    try:
        done = subprocess.run(  # noqa: S603 this interpreter, a module of ours
            command, env=environment, capture_output=True, text=True, check=False, timeout=how.limit
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"it was not done after {how.limit:,.0f} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        killed = f"its process was ended by signal {-done.returncode}" if done.returncode < 0 else "it failed"
        raise ModelError(lines[-1].strip() if lines and done.returncode > 0 else f"{killed}; is there memory enough?")
    return dict(json.loads(out.read_text(encoding="utf-8")))


def work(arguments: list[str]) -> None:
    """Do what `apart` asks for, in the process that it started."""
    folder, task, out, how, started, what = arguments
    rows, settings = FitTask.load(Path(task)), How(**json.loads(how))
    told: Mapping[str, Any]
    if what == "scores":
        doing = Doing(rows, opened(folder, threads=settings.threads, check=True), settings.new_tokens)
        found: list[list[float]] = []
        for start in range(0, len(rows.rows), settings.batch):
            found += doing.scored(rows.rows[start : start + settings.batch])
        told = {"scores": found}
    else:
        told = measured_here(Path(folder), rows, settings, float(started)).to_json()
    if not np.isfinite(np.array(told["scores"])).all():
        raise DataError("its answers are not finite numbers")
    with atomic(Path(out)) as file:
        file.write(json.dumps(told, allow_nan=False).encode())


def _about(model: Any) -> str:
    """Return what a model says of its runtime: itself, or what a head or a labeller stands on."""
    classifier = getattr(model, "classifier", None)
    inner = getattr(classifier.features, "encoder", None) if classifier is not None else getattr(model, "model", model)
    for one in (model, inner):
        for held in ("session", "engine"):
            if hasattr(one, held):
                return str(getattr(one, held).about)
    return _torch()


def _torch() -> str:
    torch = sys.modules.get("torch")
    if torch is None:
        return "numpy"
    return f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
