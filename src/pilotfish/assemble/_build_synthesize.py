"""From the checked `[synthesize]` table to a recipe and its checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from pilotfish.assemble._build_augment import build_augment, confirm_of
from pilotfish.assemble._specs_augment import AUGMENT

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_synthesize import SynthesizeSpec
    from pilotfish.model import Model
    from pilotfish.synthesize.augment.varied import Varied
    from pilotfish.synthesize.recipe import Check, Recipe

__all__ = ["build_checks", "build_recipe", "build_synthesis"]


def build_synthesis(spec: SynthesizeSpec, models: Collaboration) -> tuple[Recipe, Model | None]:
    """Return the recipe of a table, and the model that it is asked of; None where it asks nobody.

    Raises:
        ConfigError: settings that do not go together.
        DataError: a file of rows cannot be read.
    """
    model = None if spec.model is None else models.model(spec.model)
    if spec.recipe in AUGMENT:
        return build_augment(spec.recipe, getattr(spec, spec.recipe), models), model
    assert model is not None
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


def build_checks(spec: SynthesizeSpec, models: Collaboration, out: Path, recipe: Recipe | None = None) -> list[Check]:
    """Return the checks of a table, in the order in which they sift; what models are asked is kept in `out`.

    `recipe` is the one that is built already, if it is: of augmentation, its parents teach who confirms labels.

    Raises:
        ConfigError: settings that do not go together.
        DataError: a file of rows cannot be read.
    """
    from pilotfish.assemble._build_keep import build_keep
    from pilotfish.assemble._build_scratch import checks_of_scratch

    table = getattr(spec, spec.recipe)
    own: list[Check] = []
    if spec.recipe in AUGMENT:
        varied = cast("Varied", recipe) if recipe is not None else build_augment(spec.recipe, table, models)
        own = confirm_of(table, varied, models, out)
    elif spec.labels is None:
        own = checks_of_scratch(spec.recipe, table)
    return own if spec.keep is None else [*own, *build_keep(spec.keep, models, out)]
