"""From the checked `[synthesize.labels]` table to the recipe, and to the model as it is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pilotfish.assemble._specs_labels import ANSWERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_labels import LabelsOnlySpec
    from pilotfish.model import Model
    from pilotfish.rows._row import Row
    from pilotfish.synthesize.labels.kind import Kind
    from pilotfish.synthesize.labels.labelling import Labelling

__all__ = ["build_kind", "build_labels", "rows_of", "vectors_of"]


def build_labels(table: LabelsOnlySpec, models: Collaboration, model: Model, seed: int = 0) -> tuple[Labelling, Model]:
    """Return the recipe of a table, and the model that it is asked of.

    Raises:
        ConfigError: settings that do not go together, or a model that does not tell what they need.
        DataError: a file of rows cannot be read, or lacks a column.
    """
    from pilotfish.models.choosing import Choosing
    from pilotfish.synthesize.labels.labelling import Labelling
    from pilotfish.synthesize.labels.shots import Shots

    kind = build_kind(table)
    rows, gold = rows_of(table, models.folder)
    by = _by(table, kind, model)
    shots: Callable[..., Shots] | None = None
    vectors = None
    if table.shots and table.encoder is None:
        shots = partial(Shots, count=table.shots, select="random", seed=seed)
    elif table.shots:
        vectors = (vectors_of(kind, rows, table, models), vectors_of(kind, gold, table, models))
        more: dict[str, Any] = {} if table.relevance is None else {"relevance": table.relevance}
        shots = partial(Shots, count=table.shots, select=table.select or "mmr", vectors=vectors[1], **more)
    settings: dict[str, Any] = {"template": None if table.template is None else _file(table.template, models.folder)}
    if by == "answer":
        settings |= {name: getattr(table, name) for name in ANSWERS}
    for name in ("task", "into", "judge", "calibrate", "unbias", "least"):
        settings[name] = getattr(table, name)
    recipe = Labelling(kind, rows, gold=gold, shots=shots, vectors=vectors, by=by, **settings)
    return recipe, model if by == "answer" else Choosing(model)


def build_kind(table: LabelsOnlySpec) -> Kind:
    """Return the kind of labels of a table."""
    from pilotfish.synthesize.labels.choice import Choice
    from pilotfish.synthesize.labels.preference import Preference
    from pilotfish.synthesize.labels.score import Score
    from pilotfish.synthesize.labels.several import Several
    from pilotfish.synthesize.labels.spans import Spans

    made: dict[str, Callable[..., Kind]] = {
        "choice": Choice,
        "several": Several,
        "spans": Spans,
        "preference": Preference,
        "score": Score,
    }
    return made[table.kind](**table.settings)


def rows_of(table: LabelsOnlySpec, folder: Path, *, gold_may_lack: bool = False) -> tuple[list[Row], list[Row]]:
    """Return the rows, and those that people have labelled; `gold_may_lack` where nobody may have labelled any yet.

    Raises:
        DataError: a file cannot be read, has no rows, or lacks a column.
    """
    from pilotfish.errors import DataError
    from pilotfish.rows import need_columns, read

    found = []
    for name, columns in ((table.rows, table.columns), (table.gold, [*table.columns, table.into])):
        lacking = name is None or (gold_may_lack and name == table.gold and not (folder / name).exists())
        rows = [] if lacking else list(read(folder / str(name)))
        if not rows and not lacking:
            raise DataError(f"{folder / str(name)}: no rows in it")
        for row in rows[:1]:
            need_columns(row, *columns, source=str(folder / str(name)))
        found.append(rows)
    return found[0], found[1]


def vectors_of(kind: Kind, rows: Sequence[Row], table: LabelsOnlySpec, models: Collaboration) -> NDArray[Any]:
    """Return the encoder's vectors of rows, (rows, dimension)."""
    assert table.encoder is not None
    return models.encoder(table.encoder).encode([kind.turn(row, kind.variants[0]) for row in rows])


def _by(table: LabelsOnlySpec, kind: Kind, model: Model) -> Literal["answer", "probability"]:
    """Return how the model is asked: by probability where it tells any, and nothing is set that is about answers."""
    from pilotfish.models.choosing import chooses

    if table.by != "auto":
        return table.by
    about_answers = any(name in table.model_fields_set for name in ANSWERS)
    if about_answers or kind.choices(kind.variants[0]) is None or not chooses(model):
        return "answer"
    return "probability"


def _file(name: str, folder: Path) -> str | Path:
    own = folder / name
    return own if own.is_file() else name
