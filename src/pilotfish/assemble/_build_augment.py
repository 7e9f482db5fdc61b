"""From the checked tables of augmentation to recipes, and to the check of their labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._specs_scratch import ColumnSpec
from pilotfish.errors import DataError

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_augment import DriftSpec, PoolSpec
    from pilotfish.synthesize.augment import Drift
    from pilotfish.synthesize.augment.varied import Varied
    from pilotfish.synthesize.recipe import Check

__all__ = ["build_augment", "confirm_of"]

_OWN = ("rows", "drift", "confirm", "temperatures", "max_tokens", "constrained", "template", "lists")


def build_augment(name: str, table: PoolSpec, models: Collaboration) -> Varied:
    """Return the recipe of a table.

    Raises:
        ConfigError: settings that do not go together.
        DataError: a file of rows cannot be read, or lacks a column.
    """
    from pilotfish.rows import read
    from pilotfish.synthesize import augment
    from pilotfish.synthesize.augment import mixed, varied

    given: dict[str, Any] = {key: getattr(table, key) for key in type(table).model_fields if key not in _OWN}
    made = {key: value for key, value in given.items() if value is not None}
    kind: type[varied.Varied] = getattr(augment, name.capitalize())
    if table.drift is not None:
        made["drift"] = _drift(kind.bounds, table.drift, models)
    if getattr(table, "lists", None) is not None:
        made["lists"] = {key: _values(value, models.folder) for key, value in table.lists.items()}  # type: ignore[attr-defined]
    if kind.asks:
        made["asking"] = _asking(table, mixed.ASKING if name == "mixed" else varied.ASKING)
        template = table.template  # type: ignore[attr-defined]
        if template is not None:
            own = models.folder / template
            made["template"] = own if own.is_file() else template
    return kind(list(read(models.folder / table.rows)), **made)


def confirm_of(table: PoolSpec, recipe: Varied, models: Collaboration, out: Path) -> list[Check]:
    """Return the check of the children's labels: by default where a label is named.

    Raises:
        DataError: the parents cannot teach a classifier.
    """
    from pilotfish.assemble._build_features import features_of
    from pilotfish.synthesize.augment import confirmed

    asked = getattr(table, "confirm", None)
    if recipe.label is None or asked is False:
        return []
    model = features = least = None
    if asked is not None:
        model = None if asked.model is None else models.model(asked.model)
        features = None if asked.features is None else features_of(models, asked.features)
        least = asked.least
    return [confirmed(recipe, out / "confirm.sqlite", model=model, features=features, least=least)]


def _drift(bounds: Drift, asked: DriftSpec, models: Collaboration) -> Drift:
    settings = asked.model_dump(exclude={"encoder"}, exclude_none=True)
    if asked.encoder is not None:
        encoder = models.encoder(asked.encoder)
        settings["encode"] = encoder.encode
    return bounds.given(**settings)


def _asking(table: Any, asking: Any) -> Any:
    changes: dict[str, Any] = {"constrained": table.constrained}
    if table.temperatures is not None:
        changes["temperatures"] = tuple(table.temperatures)
    if table.max_tokens is not None:
        changes["max_tokens"] = table.max_tokens
    return replace(asking, **changes)


def _values(given: Any, folder: Path) -> list[str]:
    from pilotfish.rows import read

    if not isinstance(given, ColumnSpec):
        return list(given)
    found = [row.get(given.column) for row in read(folder / given.file)]
    values = list(dict.fromkeys(str(one) for one in found if one not in (None, "")))
    if not values:
        raise DataError(f"{folder / given.file}: no values in the column {given.column!r}")
    return values
