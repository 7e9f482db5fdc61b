"""From the checked table of a metric to the metric, as rows are scored by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pilotfish.assemble import _build_metrics_judging as judging
from pilotfish.assemble import _specs_metrics as specs
from pilotfish.assemble._metric_models import classifier_of, likelihoods_of, states_of, texts_in
from pilotfish.assemble._specs_metrics import METRICS, MetricSpec
from pilotfish.assemble._weights import weights_from
from pilotfish.assemble.check import checked
from pilotfish.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.evaluate.metric import OfRows
    from pilotfish.evaluate.scores import Scores
    from pilotfish.rows._row import Row

__all__ = ["BUILD", "Build", "build_metric", "metric_named"]

# From a kind's table, the file's models and the column of what is scored to the metric; its name is given afterwards.
Build = Callable[[Any, "Collaboration", str], "OfRows"]
_COLUMNS = ("candidate", "reference", "source")


def metric_named(name: str, models: Collaboration, settings: Mapping[str, Any] | None = None) -> OfRows:
    """Return a metric by the name of a `[metrics]` table of the file, or of a kind.

    Args:
        name: of either; the file's come first.
        models: the file.
        settings: what the command line says: of a kind all that it knows; of a table only the columns it leaves open.

    Raises:
        ConfigError: no such metric, or settings that do not fit it.
        ModelError: no such model.
    """
    given = dict(settings or {})
    if name in models.metrics:
        spec = models.metrics[name]
        open_ = [key for key in _COLUMNS if key not in spec.model_fields_set]
        return build_metric(name, spec.model_copy(update=_known(type(spec), given, open_)), models)
    if name not in METRICS:
        every = [*models.metrics, *METRICS]
        near = did_you_mean(name, every)
        raise ConfigError(f"no metric is called {name!r}{near}; there are {', '.join(every)}")
    kind = METRICS[name]
    return build_metric(name, checked(kind, {"use": name} | _known(kind, given), f"the metric {name}"), models)


def build_metric(name: str, spec: MetricSpec, models: Collaboration) -> OfRows:
    """Return the metric of a table, under a name.

    Raises:
        ConfigError: settings that do not go together, or a model of another kind than it needs.
        ModelError: no such model.
    """
    found = BUILD[type(spec)](spec, models, spec.candidate or "answer")
    told = spec.model_dump(exclude={"candidate"}, exclude_defaults=True) | {"use": spec.use}
    settings = told | _described(told, models)
    learn = found.learn

    def learnt(rows: Iterable[Row]) -> OfRows:
        assert learn is not None
        return replace(learn(rows), name=name, settings=settings)

    return replace(found, name=name, settings=settings, learn=None if learn is None else learnt)


def _described(told: Mapping[str, Any], models: Collaboration) -> dict[str, Any]:
    """Return what decides the numbers behind the names in a table: tables of models, and what lies in folders."""
    from pilotfish.models._weights import identity_of

    asked = [value for value in told.values() if isinstance(value, str) and value in models.names]
    found: dict[str, Any] = {"models": {one: models.answers_by(one) for one in asked}} if asked else {}
    if isinstance(told.get("model"), str) and not asked:
        found["model"] = identity_of(weights_from(told["model"], models.folder))
    return found


def _known(kind: type[MetricSpec], given: Mapping[str, Any], names: Iterable[str] | None = None) -> dict[str, Any]:
    fields = kind.model_fields.keys() if names is None else kind.model_fields.keys() & set(names)
    return {key: value for key, value in given.items() if key in fields}


def _rouge(spec: specs.RougeSpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.lexical import Rouge
    from pilotfish.evaluate.metric import over_columns

    return over_columns(Rouge(spec.use, stemmed=spec.stemmed), candidate, spec.reference)


def _bleu(spec: specs.BleuSpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.lexical import Bleu
    from pilotfish.evaluate.metric import over_columns

    return over_columns(Bleu(), candidate, spec.reference)


def _chrf(spec: specs.ChrfSpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.lexical import Chrf
    from pilotfish.evaluate.metric import over_columns

    return over_columns(Chrf(2 if spec.use == "chrf++" else 0), candidate, spec.reference)


def _short(spec: specs.ShortSpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.lexical import Short
    from pilotfish.evaluate.metric import over_columns

    return over_columns(Short(spec.use), candidate, spec.reference)


def _bertscore(spec: specs.BertScoreSpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.bertscore import BertScore, Idf, baseline_of
    from pilotfish.evaluate.metric import over_columns

    model = states_of(models, spec.model, spec.dtype)

    def made(rows: Iterable[Row]) -> OfRows:
        metric = BertScore(model, spec.layer, long=spec.long)
        references = [one for row in rows for one in texts_in(row.get(spec.reference))]
        if spec.idf:
            metric.idf = Idf.over([text.strip() for text in references], metric.states)
        if spec.rescale:
            metric.baseline = baseline_of(metric, references, seed=spec.seed)
        return over_columns(metric, candidate, spec.reference)

    first = over_columns(BertScore(model, spec.layer, long=spec.long), candidate, spec.reference)
    return replace(first, learn=made) if spec.idf or spec.rescale else first


def _bartscore(spec: specs.BartScoreSpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.likelihood import BartScore
    from pilotfish.evaluate.metric import over_columns

    metric = BartScore(likelihoods_of(models, spec.model, spec.dtype, spec.prompt))
    by = "sources" if spec.direction == "faithfulness" else "references"

    def scored(candidates: Sequence[str], others: Sequence[str | Sequence[str]]) -> Scores:
        found = metric.directions(candidates, **{by: others})  # type: ignore[arg-type]
        scores: Scores = getattr(found, spec.direction)
        return scores

    column = spec.source if by == "sources" else spec.reference
    return over_columns(scored, candidate, column, label=f"{metric.name}, {spec.direction}")


def _nli(spec: specs.NliSpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.entailment import Entailment
    from pilotfish.evaluate.metric import over_columns

    infers = classifier_of(models, spec.model, spec.labels, spec.dtype)
    return over_columns(Entailment(infers), candidate, spec.source)


# A kind's class -> what builds it.
BUILD: dict[type[MetricSpec], Build] = {
    specs.RougeSpec: _rouge,
    specs.BleuSpec: _bleu,
    specs.ChrfSpec: _chrf,
    specs.ShortSpec: _short,
    specs.BertScoreSpec: _bertscore,
    specs.BartScoreSpec: _bartscore,
    specs.NliSpec: _nli,
    **judging.BUILD,
}
