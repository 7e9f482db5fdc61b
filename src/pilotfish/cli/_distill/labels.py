"""A classifier as the student: it learns the teacher's labels of the rows that people left without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.cli._distill.encoder import encoder_in, fit_of
from pilotfish.cli._distill.parts import asked_in, model_named, rows_with

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_blackbox import LabelsSpec
    from pilotfish.assemble._specs_distill import DistillSpec
    from pilotfish.distill.blackbox.labelling import LabelsTaught, Student
    from pilotfish.distill.blackbox.students import TeacherLabels
    from pilotfish.model import Model

__all__ = ["labelled"]

SHARE = 0.5  # of people's labels in the loss, of kinds that are otherwise taught by people alone


def labelled(models: Collaboration, spec: DistillSpec, *, quiet: bool) -> LabelsTaught:
    """Ask the teacher for the labels that are not there, and teach, save and measure the student."""
    from pilotfish.distill.blackbox.labelling import teach_labels

    asked = spec.labels
    assert asked is not None
    columns = () if asked.columns is None else tuple(asked.columns)
    rows = rows_with(spec, others=(*columns, *(() if asked.gold is None else (asked.gold,))))
    gold = [_gold(row, asked.gold) for row, _ in rows]
    classes = _classes(asked, gold)
    texts = [text for _, text in rows]
    inputs: list[Any] = [{name: row[name] for name in columns} for row, _ in rows] if asked.kind == "tree" else texts
    make = _students(models, spec, asked)  # before anybody is asked and paid: what it needs may not be there
    said = _said(models, spec, texts, gold, classes, quiet=quiet)
    settings = asked.model_dump(exclude={"concurrency"})
    told = {"student": spec.student, "fit": spec.fit.model_dump(exclude_unset=True), **settings}
    return teach_labels(
        inputs, gold, said, make, str(spec.out), settings=told, held_out=spec.held_out, seed=spec.fit.seed
    )


def _gold(row: dict[str, Any], column: str | None) -> str | None:
    """Return people's label of a row; None where the column is empty."""
    value = None if column is None else row.get(column)
    return None if value is None or not str(value).strip() else str(value).strip()


def _classes(asked: LabelsSpec, gold: Sequence[str | None]) -> list[str]:
    """Return the labels, as the file says or as people gave them.

    Raises:
        DataError: people gave others than the file says, fewer than two, or every row one.
    """
    from pilotfish.errors import DataError, did_you_mean

    found = sorted({label for label in gold if label is not None})
    if all(label is not None for label in gold):
        raise DataError(f"every row has a label in {asked.gold!r}: there is nothing that the teacher would be asked")
    unknown = [label for label in asked.names if label not in (asked.labels or found)]
    if unknown:
        raise DataError(f"`names` has {unknown[0]!r}: none of the labels{did_you_mean(unknown[0], found)}")
    if asked.labels is None:
        if len(found) < 2:
            raise DataError(f"{asked.gold!r} holds {len(found)} different labels, and two are needed: give `labels`")
        return found
    for label in found:
        if label not in asked.labels:
            raise DataError(f"{asked.gold!r} holds {label!r}: none of `labels`{did_you_mean(label, asked.labels)}")
    return list(asked.labels)


def _said(
    models: Collaboration,
    spec: DistillSpec,
    texts: Sequence[str],
    gold: Sequence[str | None],
    classes: list[str],
    *,
    quiet: bool,
) -> TeacherLabels:
    """Return the teacher's labels of all texts: of those that have none of people's, and nothing of the others."""
    from dataclasses import replace

    import numpy as np

    from pilotfish.distill.blackbox.students import labelled as labels_of
    from pilotfish.train.processes import main_first

    assert spec.labels is not None
    open_rows = [i for i, mark in enumerate(gold) if mark is None]
    with main_first():  # of several processes one asks, and the others read what was said
        said = labels_of(
            [texts[i] for i in open_rows],
            _labeller(models, spec, spec.labels, classes),
            classes,
            asked_in(models, f"{spec.out}-labels", str(spec.teacher)),
            concurrency=spec.labels.concurrency,
            progress=not quiet,
        )
    every = np.full((len(texts), len(classes)), np.nan)
    every[open_rows] = said.probabilities
    return replace(said, probabilities=every)


def _labeller(models: Collaboration, spec: DistillSpec, asked: LabelsSpec, classes: list[str]) -> Model:
    """Return the teacher as a model that answers with a label: as it is where it does, else asked for one.

    Raises:
        ConfigError: it does, and is told how to be asked.
    """
    from pilotfish.errors import ConfigError
    from pilotfish.models.classify import Labeller

    assert spec.teacher is not None
    if spec.teacher in models.names and _gives_labels(models, spec.teacher):
        for name in ("names", "instruction", "max_text"):
            if name in asked.model_fields_set:
                raise ConfigError(f"[distill.labels] {name}: {spec.teacher!r} answers with labels as it is")
        return models.model(spec.teacher)
    model = model_named(models, spec, spec.teacher)
    more: dict[str, Any] = {} if asked.instruction is None else {"instruction": asked.instruction}
    return Labeller(model, classes, names=asked.names, max_text=asked.max_text, name=spec.teacher, **more)


def _gives_labels(models: Collaboration, name: str) -> bool:
    """Say whether a model of the file, or one that may answer for it, is a classifier, a labeller or a record."""
    from pilotfish.assemble.specs import ClassifierSpec, LabellerSpec, RecordedSpec, references

    spec = models.spec(name)
    if isinstance(spec, ClassifierSpec | LabellerSpec | RecordedSpec):
        return True
    return any(_gives_labels(models, other) for _, other in references(spec))


def _students(models: Collaboration, spec: DistillSpec, asked: LabelsSpec) -> Callable[[bool], Student]:
    """Return what makes a student: with True the one that learns people's labels alone."""
    from pilotfish.distill.blackbox.labelling import RUN
    from pilotfish.distill.blackbox.students import (
        BagStudent,
        ContrastiveStudent,
        EncoderStudent,
        LinearStudent,
        TreeStudent,
    )
    from pilotfish.distill.blackbox.students.tuned import FIT
    from pilotfish.models.classify import EncoderFeatures, TfidfFeatures
    from pilotfish.train.contrast import FIT as PAIRS

    # The columns and the rest of a kind's settings are given to it as they are; what is not given is its own default.
    given = {**asked.settings, "seed": spec.fit.seed}
    if asked.kind == "tree":
        return lambda alone: TreeStudent(**_alpha(given, alone))
    if asked.kind == "bag":
        return lambda alone: BagStudent(**_alpha({"alpha": SHARE, **given}, alone))
    if asked.kind == "linear":
        if spec.student is None:
            return lambda alone: LinearStudent(TfidfFeatures(), **_alpha(given, alone))
        features = EncoderFeatures(encoder_in(models, spec, str(spec.student), lm=True))
        return lambda alone: LinearStudent(features, **_alpha(given, alone))
    encoder = encoder_in(models, spec, str(spec.student))
    how = fit_of(spec, PAIRS if asked.kind == "contrastive" else FIT)

    def tuned(alone: bool) -> Student:
        if asked.kind == "contrastive":
            own = _alpha({"alpha": SHARE, **given}, alone)
            return ContrastiveStudent(encoder, fit=how, folder=Path(str(spec.out)) / RUN, **own)
        return EncoderStudent(encoder, fit=how, folder=Path(str(spec.out)) / RUN, **_alpha(given, alone))

    return tuned


def _alpha(given: dict[str, Any], alone: bool) -> dict[str, Any]:
    return {**given, "alpha": 1.0} if alone else given
