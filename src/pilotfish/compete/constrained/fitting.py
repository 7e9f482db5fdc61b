"""Export every candidate, measure each by itself, choose. What was measured is kept, so that a killed fit goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.compete.constrained.candidate import Candidate, Skipped
from pilotfish.compete.constrained.export import Exporter, Source, source_of
from pilotfish.compete.constrained.limits import Limits
from pilotfish.compete.constrained.manifest import Manifest
from pilotfish.compete.constrained.measured import How, Measured, apart
from pilotfish.compete.constrained.task import DOES, FitTask, above, quality
from pilotfish.compete.constrained.verdict import Verdict, decide
from pilotfish.compete.constrained.way import missing, ways_of
from pilotfish.errors import ConfigError, MissingExtra, ModelError
from pilotfish.measure.frontier import Frontier, Point
from pilotfish.measure.meters import machine
from pilotfish.rows._atomic import atomic

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["Fit", "FitSettings", "fit", "models_here"]

FORMAT = 1  # of what was measured; raise it when the same figures would now be taken otherwise
_LIBRARIES = {
    "torch": "torch",
    "onnx": "onnxruntime",
    "openvino": "openvino",
    "llamacpp": "cyllama",
    "own": "numpy",
}
Say = Callable[[str], None]


@dataclass(frozen=True)
class FitSettings:
    """What is wanted.

    Attributes:
        limits: of the machine.
        runtimes: that may be used; all where none is named.
        precisions: that may be used; all where none is named.
        margin: the loss of quality that does not matter, in the measure's units.
        how: how candidates are measured.
    """

    limits: Limits = field(default_factory=Limits)
    runtimes: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    margin: float = 0.0
    how: How = field(default_factory=How)


@dataclass(frozen=True)
class Fit:
    """What was measured, and what to deploy.

    Attributes:
        task: the rows.
        settings: what was wanted.
        candidates: that were measured, the best quality first.
        skipped: that were not, with the reason.
        verdict: the choice.
        proof: of the exported choice, loaded again in a process of its own: rows, and the largest change of a row's
            score; empty until it was exported.
    """

    task: FitTask
    settings: FitSettings
    candidates: tuple[Candidate, ...]
    skipped: tuple[Skipped, ...]
    verdict: Verdict
    proof: dict[str, Any] = field(default_factory=dict)

    @property
    def frontier(self) -> Frontier:
        """Quality against the milliseconds that 95 of 100 single rows take."""
        points = [Point(one.name, one.measured.p95 * 1e3, one.quality) for one in self.candidates]
        return Frontier(points, "p95 ms a row")

    @property
    def memory_frontier(self) -> Frontier:
        """Quality against mebibytes at the peak."""
        points = [Point(one.name, one.measured.memory / 2**20, one.quality) for one in self.candidates]
        return Frontier(points, "MiB at the peak")

    def to_json(self) -> dict[str, Any]:
        """Return everything but the single rows as plain data."""
        return {
            "sort": self.task.sort,
            "rows": len(self.task.rows),
            "limits": self.settings.limits.given,
            "margin": self.settings.margin,
            "how": asdict(self.settings.how),
            "machine": machine(),
            "verdict": self.verdict.to_json(),
            "candidates": [one.to_json() for one in self.candidates],
            "skipped": [asdict(one) for one in self.skipped],
            "frontier": self.frontier.to_json(),
            "memory_frontier": self.memory_frontier.to_json(),
            "proof": self.proof,
        }


def models_here(task: FitTask, catalog: Catalog) -> list[str]:
    """Return the catalog's models that are on this machine and do such a task.

    Raises:
        ModelError: there is none.
    """
    names = [name for name, one in catalog.entries.items() if one.kind in DOES[task.sort] and catalog.here(name)]
    if not names:
        raise ModelError(f"no model of the catalog that does this ({', '.join(DOES[task.sort])}) is here; name one")
    return names


def fit(
    task: FitTask,
    models: Sequence[str],
    out: Path,
    settings: FitSettings | None = None,
    *,
    catalog: Catalog | None = None,
    again: bool = False,
    say: Say = lambda _: None,
) -> Fit:
    """Measure every way to run every model that this machine has, and choose.

    Args:
        task: rows to do.
        models: catalog names, `hf:…`, folders, GGUF files, or folders of saved classifiers.
        out: where exports and measurements are kept.
        settings: limits and the like.
        catalog: where names are looked up.
        again: measure anew what was measured before, as when other work had the cores then.
        say: is told each step.

    Raises:
        ConfigError: no model, or one that cannot do such a task.
        ModelError: no such model; or no candidate could be measured: the text names the first reason.
    """
    settings = settings or FitSettings()
    sources = [source_of(one, catalog) for one in dict.fromkeys(models)]
    _check(sources, task)
    rows = out / "rows.json"
    task.save(rows)
    exporter = Exporter(task, out / "exports", catalog)
    found: list[Candidate] = []
    skipped: list[Skipped] = []
    for source in sources:
        for way in ways_of(source.kind, settings.runtimes, settings.precisions, gguf=source.gguf is not None):
            name = f"{source.name} {way}"
            why = missing(way)
            if why is not None:
                skipped.append(Skipped(name, why))
                continue
            try:
                folder = exporter.export(source, way)
                measured = _measured(folder, task, rows, settings.how, out, partial(_told, say, name), again=again)
            except MissingExtra as error:
                skipped.append(Skipped(name, str(error)))
                continue
            except ModelError as error:
                # One that cannot be run is a finding: it stands in the report, and the others go on.
                say(f"{name}: {error}")
                skipped.append(Skipped(name, str(error), failed=True))
                continue
            broken = tuple(settings.limits.broken(measured))
            worth = quality(task.sort, measured.table)
            found.append(
                Candidate(source.name, source.kind, source.licence, way, folder, measured, worth, broken=broken)
            )
    if not found:
        raise ModelError(f"no candidate could be measured; {skipped[0].name}: {skipped[0].why}")
    whole = _with_losses(found, task)
    verdict = decide(whole, settings.limits, task.sort, settings.margin)
    ordered = sorted(whole, key=lambda one: (-one.quality.value, one.measured.memory))
    return Fit(task, settings, tuple(ordered), tuple(skipped), verdict)


def _check(sources: Sequence[Source], task: FitTask) -> None:
    if not sources:
        raise ConfigError("no model was named")
    for source in sources:
        if source.kind not in DOES[task.sort]:
            does = " or ".join(DOES[task.sort])
            raise ConfigError(f"{source.name} is of kind {source.kind}; a task of {task.sort} takes {does}")
    names = [source.name for source in sources]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"two of the models are called {twice!r}; rename a folder")


def _measured(
    folder: Path, task: FitTask, rows: Path, how: How, out: Path, say: Say, *, again: bool = False
) -> Measured:
    """Return what was measured of a folder, now or by an earlier run on this kind of machine."""
    way = Manifest.load(folder).way
    told = machine()
    here = [told["cpu"], told["cores"], metadata.version(_LIBRARIES[way.runtime])]
    key = json.dumps([FORMAT, Manifest.load(folder).digest, task.digest, asdict(how), here], sort_keys=True)
    path = out / "measured" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
    if path.is_file() and not again:
        say("measured before")
        return Measured(**json.loads(path.read_text(encoding="utf-8")))
    path.parent.mkdir(parents=True, exist_ok=True)
    say("measuring")
    coming = path.with_suffix(".coming")
    try:
        measured = Measured(**apart(folder, rows, how, coming))
    finally:
        coming.unlink(missing_ok=True)
    with atomic(path) as file:
        file.write(json.dumps(measured.to_json(), allow_nan=False).encode())
    return measured


def _told(say: Say, name: str, text: str) -> None:
    say(f"{name}: {text}")


def _with_losses(found: Sequence[Candidate], task: FitTask) -> list[Candidate]:
    """Add what each candidate lost against its own weights in float32, torch's where they were measured."""
    whole = []
    for one in found:
        own = [other for other in found if other.model == one.model and other.way.precision == "fp32"]
        reference = own[0] if own else None
        lost = None
        if reference is not None and reference is not one:
            lost = above(task.sort, one.measured.table, reference.measured.table)
        whole.append(replace(one, lost=lost))
    return whole
