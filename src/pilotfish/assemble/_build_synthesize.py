"""From the checked `[synthesize]` table to a recipe and its checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilotfish.assemble._specs_synthesize import SynthesizeSpec
    from pilotfish.synthesize.recipe import Check, Recipe

__all__ = ["build_checks", "build_recipe"]


def build_recipe(spec: SynthesizeSpec, folder: Path) -> Recipe:
    """Return the recipe of a table; `folder` is what relative paths start from.

    Raises:
        ConfigError: settings that do not go together.
        DataError: a file of rows cannot be read.
    """
    from pilotfish.assemble._build_scratch import build_scratch

    return build_scratch(spec.recipe, getattr(spec, spec.recipe), folder)


def build_checks(spec: SynthesizeSpec, folder: Path) -> list[Check]:
    """Return the checks of a table, in the order in which they sift.

    Raises:
        ConfigError: settings that do not go together.
    """
    from pilotfish.assemble._build_scratch import checks_of_scratch

    return checks_of_scratch(spec.recipe, getattr(spec, spec.recipe))
