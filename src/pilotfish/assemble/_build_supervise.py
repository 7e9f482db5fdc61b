"""From the checked `[supervise]` table to sources, a label model and a strong model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._build_encoder import tunable
from pilotfish.assemble._build_features import features_of
from pilotfish.assemble.build import encoder_named
from pilotfish.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_supervise import (
        LabelModelSpec,
        LearnsSpec,
        SourceSpec,
        StrongSpec,
        SuperviseSpec,
    )
    from pilotfish.measure.label_models import LabelModel
    from pilotfish.models.classify import Features
    from pilotfish.models.encoder import Encoder
    from pilotfish.rows._row import Row
    from pilotfish.supervise.sources import Scope, Source
    from pilotfish.supervise.sources.taught import Taught
    from pilotfish.supervise.strong.model import StrongModel

__all__ = ["build_label_model", "build_sources", "build_strong", "classes_of"]


def classes_of(spec: SuperviseSpec, labels: Sequence[str]) -> list[str]:
    """Return the classes: as given, or those of people's labels and of the sources, sorted.

    Raises:
        ConfigError: fewer than two.
    """
    if spec.classes is not None:
        return list(spec.classes)
    found = set(labels)
    for one in spec.sources:
        meant = one.labels or {}
        found |= {meant.get(label, label) for label in one.classes or ()} | set(meant.values())
        found |= set(one.keywords or ()) | set(one.patterns or ())
    if len(found) < 2:
        raise ConfigError("[supervise] which classes are there? give `classes`, or people's labels")
    return sorted(found)


def build_sources(
    spec: SuperviseSpec,
    models: Collaboration,
    classes: Sequence[str],
    rows: Sequence[Row],
    gold: Sequence[Row],
    progress: bool = False,
) -> list[Source]:
    """Return the sources of a table; those that learn have learnt.

    Args:
        spec: the table.
        models: of the file.
        classes: the labels.
        rows: that are to be labelled; topics are found in them.
        gold: that teach; with people's labels.
        progress: show bars where models are asked.

    Raises:
        ConfigError: no sources, or two of one name.
        DataError: gold rows that teach nothing.
    """
    if not spec.sources:
        raise ConfigError("[supervise] has no sources: add [[supervise.sources]] tables")
    found: list[Source] = []
    for number, one in enumerate(spec.sources, 1):
        try:
            if one.topics is None:
                found.append(_source(one, spec, models, classes, gold, _name(one), _scope(one, spec), progress))
                continue
            from pilotfish.supervise.sources import Topics

            encoder = encoder_named(one.topics.encoder, models)
            topics = Topics(encoder, one.topics.count, text=spec.text, seed=one.topics.seed).fit(rows)
            for place, scope in enumerate(topics.topics()):
                found.append(_source(one, spec, models, classes, gold, f"{_name(one)} {place}", scope, progress))
        except ConfigError as error:
            raise ConfigError(f"[supervise] source {number}: {error}") from None
    return found


def build_label_model(spec: LabelModelSpec) -> LabelModel:
    """Return the label model of a table, which has learnt nothing yet.

    Raises:
        ConfigError: no such model, or a setting that it does not have.
    """
    from pilotfish.measure.label_models import kind_of

    kind = kind_of(spec.use)
    known = list(inspect.signature(kind).parameters)
    for key in spec.settings:
        if key not in known:
            near = did_you_mean(key, known) if known else "; it has none"
            raise ConfigError(f"[supervise.labels] {spec.use} has no setting {key!r}{near}")
    if (spec.encoder is not None) != (spec.use == "co-supervised"):
        raise ConfigError("[supervise.labels] `encoder` is of co-supervised, which needs one")
    return kind(**spec.settings)


def build_strong(spec: SuperviseSpec, models: Collaboration, classes: Sequence[str]) -> Callable[[int], Any]:
    """Return what makes an untaught strong model of a seed; vectors that probes stand on are read once.

    Raises:
        ConfigError: settings that do not go together.
        ModelError: no such weights.
    """
    from pilotfish.supervise.strong.chain import Chain
    from pilotfish.supervise.strong.loss import Objective

    strong = spec.strong
    assert strong is not None
    balance: Any = strong.balance
    if isinstance(balance, Mapping):
        if set(balance) != set(classes):
            raise ConfigError(f"[supervise.strong] balance gives a share to each class: {', '.join(classes)}")
        balance = tuple(balance[name] for name in classes)
    names = ("confidence", "warmup", "smoothing", "forget")
    objective = Objective(**{name: getattr(strong, name) for name in names}, balance=balance)
    makers = [_maker(weights, strong, spec, models, objective) for weights in [*strong.through, strong.weights]]

    def make(seed: int) -> Any:
        made = [maker(seed) for maker in makers]
        return made[0] if len(made) == 1 else Chain(made)

    return make


def _source(
    one: SourceSpec,
    spec: SuperviseSpec,
    models: Collaboration,
    classes: Sequence[str],
    gold: Sequence[Row],
    name: str,
    scope: Scope | None,
    progress: bool,
) -> Source:
    from pilotfish.supervise.sources import Asked, Column, Keywords, Patterns, Specialist, Trees

    shared: dict[str, Any] = {"scope": scope, "least": one.least}
    if one.keywords is not None:
        return Keywords(one.keywords, name, text=spec.text, case=bool(one.case), **shared)
    if one.patterns is not None:
        return Patterns(one.patterns, name, text=spec.text, **shared)
    if one.column is not None:
        return Column(one.column, name, labels=one.labels, **shared)
    if one.model is not None:
        says = one.classes or [*(one.labels or {}), *(label for label in classes if label not in (one.labels or {}))]
        model = models.model(one.model)
        more: dict[str, Any] = {"labels": one.labels, "columns": one.columns, "prompt": one.prompt}
        return Asked(model, says, name, text=spec.text, progress=progress, **more, **shared)
    assert one.learns is not None
    columns = one.learns.columns or [spec.text]
    if one.learns.features == "trees":
        made: Taught = Trees(columns, name, classes=one.classes, **shared)
    else:
        features = _features(one.learns, models)
        made = Specialist(features, name, columns=columns, classes=one.classes, c=one.learns.c, **shared)
    assert spec.label is not None
    return made.fit(gold, [str(row[spec.label]) for row in gold])


def _name(one: SourceSpec) -> str:
    return one.name or one.column or one.model or one.kind


def _scope(one: SourceSpec, spec: SuperviseSpec) -> Scope | None:
    from pilotfish.supervise.sources import Matching, Where

    if one.where is not None:
        return Where(one.where)
    return Matching(one.matches, spec.text) if one.matches is not None else None


def _features(learns: LearnsSpec, models: Collaboration) -> Features:
    from pilotfish.models.classify import Remembered, StaticFeatures

    if learns.static:
        return StaticFeatures(encoder_named(learns.features, models))
    found = features_of(models, learns.features)
    # Several specialists read the same texts, in several parts.
    return found if learns.features == "tf-idf" else Remembered(found)


def _maker(
    weights: str, strong: StrongSpec, spec: SuperviseSpec, models: Collaboration, objective: Any
) -> Callable[[int], StrongModel]:
    from pilotfish.models.classify import EncoderFeatures, Remembered
    from pilotfish.models.encoder import Encoder
    from pilotfish.supervise.strong.model import StrongModel
    from pilotfish.supervise.strong.probe import Probe
    from pilotfish.supervise.supervising import RUNS, TUNING
    from pilotfish.train.settings import Fit

    held = _held(weights, strong, spec, models)
    given = strong.probe.model_dump() if strong.probe is not None else {}
    probe = Probe(**(given | ({"decays": tuple(given["decays"])} if given else {})))
    if strong.fit is None:
        over = Remembered(EncoderFeatures(held))
        return lambda seed: StrongModel(over, replace(probe, seed=seed), objective)
    assert isinstance(held, Encoder)
    fit = Fit(**strong.fit.model_dump(exclude={"seed"}))
    more = {name: value for name in ("head_rate", "held_out") if (value := getattr(strong, name)) is not None}
    assert spec.out is not None
    folder = models.folder / spec.out / RUNS / TUNING

    def tuned(seed: int) -> StrongModel:
        start = replace(probe, seed=seed) if strong.probe is not None else None
        return StrongModel(held, replace(fit, seed=seed), objective, folder=folder, start=start, **more)

    return tuned


def _held(weights: str, strong: StrongSpec, spec: SuperviseSpec, models: Collaboration) -> Encoder | Any:
    """Return an encoder; a language model as it is where its states are averaged under a probe, else as an encoder."""
    assert spec.out is not None
    averaged = strong.fit is None and strong.pooling != "last"
    beside = models.folder / spec.out
    how: dict[str, Any] = {"pooling": strong.pooling, "usual": "last", "max_length": strong.max_length}
    return tunable(weights, models, beside, as_it_is=averaged, **how)
