"""From `[fit]` to a task and settings; from an exported folder to its model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._specs_fit import FitSpec, FittedSpec
from pilotfish.assemble._weights import weights_from
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.compete.constrained import FitSettings, FitTask
    from pilotfish.models.catalog import Catalog
    from pilotfish.rows import Rejects

__all__ = ["build_fitted", "fit_models", "fit_settings", "fit_task"]


def build_fitted(name: str, spec: FittedSpec, folder: Path) -> Any:
    """Return the model of an exported folder.

    Raises:
        ConfigError: it holds an encoder without a head, which answers nothing.
        ModelError: no such folder, or a damaged one.
    """
    from pilotfish.compete.constrained import Manifest, open

    path = folder / spec.path
    if Manifest.load(path).task == "similarity":
        raise ConfigError(f"[models.{name}]: {path} holds an encoder, which gives vectors and answers no requests")
    return open(path, name=name, threads=spec.threads)


def fit_task(spec: FitSpec, folder: Path, rejects: Rejects, *, strict: bool = False) -> FitTask:
    """Read the rows of a table.

    Raises:
        DataError: a file or a column is missing.
    """
    from pilotfish.compete.constrained import choices_task, classes_task, similarity_task, text_task
    from pilotfish.rows import read

    def rows_of(source: str) -> list[dict[str, Any]]:
        path = source if source == "-" else str(folder / source)
        return list(read(path, strict=strict, rejects=rejects, format=spec.format, encoding=spec.encoding))

    rows, own = rows_of(spec.rows), dict(spec.columns)
    if spec.sort == "classes":
        test = rows_of(spec.test) if spec.test else None
        own.pop("test", None)
        text, label = str(own.pop("text")), str(own.pop("label"))
        how: dict[str, Any] = own
        return classes_task(rows, text, label, test=test, seed=spec.seed, **how)
    columns = {name: str(value) for name, value in own.items()}
    if spec.sort == "similarity":
        return similarity_task(rows, **columns)
    return choices_task(rows, **columns) if spec.sort == "choices" else text_task(rows, **columns)


def fit_models(spec: FitSpec, folder: Path, task: FitTask, catalog: Catalog) -> list[str]:
    """Return the models that a table names, or those of the catalog that are here and do such a task.

    Raises:
        ModelError: none is named and none is here.
    """
    from pilotfish.compete.constrained.fitting import models_here

    return [weights_from(one, folder) for one in spec.models] or models_here(task, catalog)


def fit_settings(spec: FitSpec) -> FitSettings:
    """Return the settings of a table.

    Raises:
        ConfigError: a limit that cannot be read.
    """
    from pilotfish.compete.constrained import FitSettings, Limits
    from pilotfish.compete.constrained.measured import How

    names = ("memory", "p95", "energy", "rows_per_day", "cold_start", "disk")
    given = {name: getattr(spec, name) for name in names}
    how = How(spec.seconds, spec.batch, spec.new_tokens, spec.threads, spec.candidate_seconds)
    return FitSettings(Limits.of(given), tuple(spec.runtimes), tuple(spec.precisions), spec.margin, how)
