"""From the checked `[synthesize]` table to a recipe and its checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotfish.assemble._specs_synthesize import SynthesizeSpec
    from pilotfish.rows._row import Row
    from pilotfish.synthesize.asking import Asking
    from pilotfish.synthesize.recipe import Recipe

__all__ = ["build_recipe"]


def build_recipe(spec: SynthesizeSpec, folder: Path) -> Recipe:
    """Return the recipe of a table; `folder` is what relative paths start from.

    Raises:
        ConfigError: settings that do not go together.
        DataError: a file of rows cannot be read.
    """
    from pilotfish.synthesize.scratch.attributed import Attributed

    table = spec.attributed
    assert table is not None
    given: dict[str, Any] = table.model_dump(exclude={"examples", "template", *_ASKING})
    examples = [] if table.examples is None else _rows(folder / table.examples)
    return Attributed(**given, asking=_asking(table), examples=examples, template=_template(table.template, folder))


_ASKING = ("temperatures", "max_tokens", "constrained")


def _asking(table: Any) -> Asking:
    from pilotfish.synthesize.asking import Asking

    return Asking(tuple(table.temperatures), table.max_tokens, table.constrained)


def _rows(path: Path) -> list[Row]:
    from pilotfish.rows import read

    return list(read(path))


def _template(name: str, folder: Path) -> str | Path:
    own = folder / name
    return own if own.is_file() else name
