"""The `[synthesize]` table of a file, with the flags over it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_labels import LabelsOnlySpec
    from pilotfish.assemble._specs_synthesize import SynthesizeSpec

__all__ = ["folder_of", "labels_of", "settings"]


def settings(models: Collaboration, file: str, flags: Mapping[str, Any]) -> SynthesizeSpec:
    """Return the settings, flags over the file's table, paths from the file's.

    Raises:
        ConfigError: there is no such table, or a setting is wrong.
    """
    from pilotfish.assemble._specs_synthesize import SynthesizeSpec
    from pilotfish.assemble.check import checked
    from pilotfish.errors import ConfigError

    if models.synthesize is None:
        raise ConfigError(f"{file}: no [synthesize] table: it says what is made, and by whom")
    table = models.synthesize.model_dump(exclude_unset=True)
    if "out" in table:
        table["out"] = str(models.folder / table["out"])
    limits = {"dollars": flags["max_cost"], "calls": flags["max_calls"], "tokens": flags["max_tokens"]}
    if any(value is not None for value in limits.values()):
        given = {name: value for name, value in limits.items() if value is not None}
        table["budget"] = {**table.get("budget", {}), **given}
    for key in ("rows", "out", "model", "seed"):
        if flags[key] is not None:
            table[key] = flags[key]
    if flags["formats"]:
        table["formats"] = list(flags["formats"])
    spec = checked(SynthesizeSpec, table, f"{file} [synthesize]")
    if spec.out is None:
        raise ConfigError(f"--out must be given, here or in the [synthesize] table of {file}")
    return spec


def labels_of(models: Collaboration, file: str) -> LabelsOnlySpec:
    """Return the `[synthesize.labels]` table.

    Raises:
        ConfigError: there is none.
    """
    from pilotfish.errors import ConfigError

    if models.synthesize is None or models.synthesize.labels is None:
        raise ConfigError(f"{file}: no [synthesize.labels] table: this is about rows that a model labels")
    return models.synthesize.labels


def folder_of(models: Collaboration, file: str, out: str | None) -> Path:
    """Return the folder of the run: the flag's, or the table's.

    Raises:
        ConfigError: neither names one.
    """
    from pilotfish.errors import ConfigError

    if out is not None:
        return Path(out)
    if models.synthesize is None or models.synthesize.out is None:
        raise ConfigError(f"--out must be given, here or in the [synthesize] table of {file}: the folder of the labels")
    return models.folder / models.synthesize.out
