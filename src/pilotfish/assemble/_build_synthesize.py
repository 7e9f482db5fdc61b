"""From the checked `[synthesize]` table to a recipe and its checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_synthesize import SynthesizeSpec
    from pilotfish.model import Model
    from pilotfish.synthesize.recipe import Check, Recipe

__all__ = ["build_checks", "build_recipe", "build_synthesis"]


def build_synthesis(spec: SynthesizeSpec, models: Collaboration) -> tuple[Recipe, Model]:
    """Return the recipe of a table, and the model that it is asked of.

    Raises:
        ConfigError: settings that do not go together.
        DataError: a file of rows cannot be read.
    """
    model = models.model(spec.model)
    if spec.labels is None:
        return build_recipe(spec, models.folder), model
    from pilotfish.assemble._build_labels import build_labels

    return build_labels(spec.labels, models, model, spec.seed)


def build_recipe(spec: SynthesizeSpec, folder: Path) -> Recipe:
    """Return the recipe of a table of rows from scratch; `folder` is what relative paths start from.

    Raises:
        ConfigError: settings that do not go together.
        DataError: a file of rows cannot be read.
    """
    from pilotfish.assemble._build_scratch import build_scratch

    return build_scratch(spec.recipe, getattr(spec, spec.recipe), folder)


def build_checks(spec: SynthesizeSpec, models: Collaboration, out: Path) -> list[Check]:
    """Return the checks of a table, in the order in which they sift; what models are asked is kept in `out`.

    Raises:
        ConfigError: settings that do not go together.
        DataError: a file of rows cannot be read.
    """
    from pilotfish.assemble._build_keep import build_keep
    from pilotfish.assemble._build_scratch import checks_of_scratch

    own = [] if spec.labels is not None else checks_of_scratch(spec.recipe, getattr(spec, spec.recipe))
    return own if spec.keep is None else [*own, *build_keep(spec.keep, models, out)]
