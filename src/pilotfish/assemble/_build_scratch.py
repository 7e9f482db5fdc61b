"""From the checked tables of rows from scratch to recipes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._specs_scratch import ColumnSpec
from pilotfish.errors import DataError

if TYPE_CHECKING:
    from pilotfish.assemble._specs_scratch import AskingSpec
    from pilotfish.rows._row import Row
    from pilotfish.synthesize.asking import Asking
    from pilotfish.synthesize.recipe import Check, Recipe

__all__ = ["build_scratch", "checks_of_scratch"]

_OWN = ("temperatures", "max_tokens", "constrained", "template")
# Keys that name a file of rows, by recipe.
_FILES = {"attributed": ("examples",), "instructed": ("seeds",), "evolved": ("seeds",), "questioned": ("documents",)}
# Keys that are no argument of the recipe.
_APART = {"coded": ("seconds",)}


def build_scratch(name: str, table: AskingSpec, folder: Path) -> Recipe:
    """Return the recipe of a table; `folder` is what relative paths start from.

    Raises:
        ConfigError: settings that do not go together.
        DataError: a file of rows cannot be read, or lacks a column.
    """
    make, asking = _makers()[name]
    given = {key: getattr(table, key) for key in type(table).model_fields if key not in (*_OWN, *_APART.get(name, ()))}
    files = _FILES.get(name, ())
    made: dict[str, Any] = {}
    for key, value in given.items():
        if value is not None:
            made[key] = _rows(folder / str(value)) if key in files else _listed(value, folder)
    if table.template is not None:
        own = folder / table.template
        made["template"] = own if own.is_file() else table.template
    changes: dict[str, Any] = {"constrained": table.constrained}
    if table.temperatures is not None:
        changes["temperatures"] = tuple(table.temperatures)
    if table.max_tokens is not None:
        changes["max_tokens"] = table.max_tokens
    return make(**made, asking=replace(asking, **changes))


def checks_of_scratch(name: str, table: AskingSpec) -> list[Check]:
    """Return the checks that belong to a recipe itself."""
    if name != "coded":
        return []
    from pilotfish.synthesize.scratch.coded import Proven

    return [Proven(table.seconds)]  # type: ignore[attr-defined]


def _makers() -> dict[str, tuple[Callable[..., Recipe], Asking]]:
    from pilotfish.synthesize.scratch import (
        attributed,
        branched,
        coded,
        conversed,
        evolved,
        instructed,
        questioned,
        tabular,
    )

    return {
        "attributed": (attributed.Attributed, attributed.ASKING),
        "instructed": (instructed.Instructed, instructed.ASKING),
        "evolved": (evolved.Evolved, evolved.ASKING),
        "branched": (branched.Branched, branched.ASKING),
        "questioned": (questioned.Questioned, questioned.ASKING),
        "conversed": (conversed.Conversed, conversed.ASKING),
        "tabular": (tabular.Tabular, tabular.ASKING),
        "coded": (coded.Coded, coded.ASKING),
    }


def _rows(path: Path) -> list[Row]:
    from pilotfish.rows import read

    return list(read(path))


def _listed(value: Any, folder: Path) -> Any:
    """Return a setting with the columns of files in the place of their names."""
    if isinstance(value, ColumnSpec):
        values = [row.get(value.column) for row in _rows(folder / value.file)]
        found = list(dict.fromkeys(str(one) for one in values if one not in (None, "")))
        if not found:
            raise DataError(f"{folder / value.file}: no values in the column {value.column!r}")
        return found
    if isinstance(value, dict):
        return {key: _listed(inner, folder) for key, inner in value.items()}
    return value
