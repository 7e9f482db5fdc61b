"""From a checked `[curate.classifiers.NAME]` table to a classifier and what it learns from."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._build_curate import rows_of

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_curate_learn import ClassifierSpec, RatingsSpec
    from pilotfish.curate.quality import QualityClassifier
    from pilotfish.rows._row import Row

__all__ = ["Lesson", "build_classifier", "lesson_of"]


@dataclass(frozen=True)
class Lesson:
    """What is learnt from.

    Attributes:
        texts: the texts.
        quality: (texts,) true and false, or ratings.
        groups: one a text; None for none.
        test: texts and qualities that only the report looks at; None for none.
    """

    texts: list[str]
    quality: list[Any]
    groups: list[Hashable] | None
    test: tuple[list[str], list[bool]] | None


def build_classifier(spec: ClassifierSpec, models: Collaboration) -> QualityClassifier:
    """Return the classifier of a table, which has learnt nothing yet.

    Raises:
        ModelError: there is no such encoder.
    """
    from pilotfish.assemble.build import encoder_named
    from pilotfish.curate.quality.kinds import kind_of

    made: Any = kind_of(spec.kind)
    given = () if spec.encoder is None else (encoder_named(spec.encoder, models),)
    found: QualityClassifier = made(*given, **spec.settings)
    return found


def lesson_of(
    spec: ClassifierSpec, models: Collaboration, *, progress: bool = True, tell: Callable[[str], None] = lambda _: None
) -> Lesson:
    """Return what a classifier learns from; ratings that a model is to give are asked for here.

    Raises:
        ConfigError: the same file stands on both sides.
        DataError: a file of rows cannot be read, or lacks a column.
    """
    test = None
    if spec.test is not None:
        good, bad = (_rows(models, files, spec.text) for files in (spec.test.positive, spec.test.negative))
        rows = [*good, *bad]
        test = [row[spec.text] for row in rows], [place < len(good) for place in range(len(rows))]
    if spec.ratings is not None:
        rows, quality = _rated(spec, spec.ratings, models, progress, tell)
    else:
        assert spec.positive is not None and spec.negative is not None
        _differ(spec.positive, spec.negative)
        good, bad = (_rows(models, files, spec.text) for files in (spec.positive, spec.negative))
        rows, quality = [*good, *bad], [place < len(good) for place in range(len(good) + len(bad))]
    return Lesson([row[spec.text] for row in rows], quality, _groups(rows, spec.group), test)


def _rated(
    spec: ClassifierSpec, ratings: RatingsSpec, models: Collaboration, progress: bool, tell: Callable[[str], None]
) -> tuple[list[Row], list[Any]]:
    from pilotfish.errors import DataError

    rows = _rows(models, ratings.rows, spec.text)
    if ratings.column is not None:
        column = ratings.column
        there = [row for row in rows if isinstance(row.get(column), int | float) and not isinstance(row[column], bool)]
        if not there:
            raise DataError(f"no row has a number in {column!r}: ratings lie from 0 to 5")
        if len(there) < len(rows):
            tell(f"{len(rows) - len(there):,} of {len(rows):,} rows have no number in {column!r}: left out")
        values = [float(row[column]) for row in there]
    else:
        from pilotfish.curate.quality.rating import EDUCATIONAL, rate

        assert ratings.model is not None
        given: dict[str, Any] = ratings.model_dump(include={"max_tokens", "concurrency"}, exclude_none=True)
        found = rate(
            models.model(ratings.model),
            [row[spec.text] for row in rows],
            Path(models.folder / spec.out) / "ratings",
            prompt=ratings.prompt or EDUCATIONAL,
            progress=progress,
            **given,
        )
        tell(str(found))
        there, values = [rows[place] for place in found.there], [float(found.ratings[place]) for place in found.there]
    if max(values) <= 1 and not ratings.classes:
        raise DataError("the ratings are all 1 or less: they lie from 0 to 5, and a good text has some 3")
    if ratings.classes:
        return there, [value >= ratings.good_from for value in values]
    return there, values


def _rows(models: Collaboration, files: str | list[str], text: str) -> list[Row]:
    names = [files] if isinstance(files, str) else files
    return [row for name in names for row in rows_of(models.folder / name, text)]


def _groups(rows: list[Row], group: str | None) -> list[Hashable] | None:
    """Return the group of each row; a row that lacks one is a group of its own."""
    if group is None:
        return None
    from pilotfish.errors import DataError

    if not any(group in row for row in rows):
        raise DataError(f"no row has a column {group!r} to group by")
    return [str(row[group]) if row.get(group) is not None else place for place, row in enumerate(rows)]


def _differ(positive: str | list[str], negative: str | list[str]) -> None:
    from pilotfish.errors import ConfigError

    sides = [{Path(name) for name in ([files] if isinstance(files, str) else files)} for files in (positive, negative)]
    for name in sides[0] & sides[1]:
        raise ConfigError(f"{name}: both among `positive` and among `negative`")
