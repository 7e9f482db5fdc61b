"""From the checked table of a metric to the metric, as rows are scored by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pilotfish.assemble import _specs_metrics as specs
from pilotfish.assemble._specs_metrics import METRICS, MetricSpec
from pilotfish.assemble.build import weights_from
from pilotfish.assemble.check import checked
from pilotfish.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.evaluate.likelihood import Likelihoods
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


def _bertscore(spec: specs.BertScoreSpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.bertscore import BertScore, Idf, baseline_of
    from pilotfish.evaluate.metric import over_columns

    model = _states_of(models, spec.model, spec.dtype)

    def made(rows: Iterable[Row]) -> OfRows:
        metric = BertScore(model, spec.layer, long=spec.long)
        references = [one for row in rows for one in _texts(row.get(spec.reference))]
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

    metric = BartScore(_likelihoods(models, spec))
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
    from pilotfish.evaluate.nli import Nli

    labels: dict[str, int] | None = None if spec.labels is None else {str(k): v for k, v in spec.labels.items()}
    weights = _no_model(models, spec.model)
    infers = Nli(weights, labels=labels, dtype=spec.dtype, catalog=models.catalog)
    return over_columns(Entailment(infers), candidate, spec.source)


# A kind's class -> what builds it.
BUILD: dict[type[MetricSpec], Build] = {
    specs.RougeSpec: _rouge,
    specs.BleuSpec: _bleu,
    specs.ChrfSpec: _chrf,
    specs.BertScoreSpec: _bertscore,
    specs.BartScoreSpec: _bartscore,
    specs.NliSpec: _nli,
}


def _states_of(models: Collaboration, name: str, dtype: str | None) -> Any:
    """Return an encoder or a local model: of the file, or of weights, whichever these are.

    Raises:
        ConfigError: a model of the file that has no states to read.
        ModelError: no such weights.
    """
    from pilotfish.models import _weights
    from pilotfish.models.encoder import Encoder
    from pilotfish.models.local import LocalModel

    if name in models.names:
        model = models.part(name)
        if not isinstance(model, Encoder | LocalModel):
            raise ConfigError(
                f"{models.where}: [models.{name}] has no states to compare: an encoder or local model has"
            )
        if dtype is not None:
            raise ConfigError(f"{models.where}: [models.{name}] says its dtype itself")
        return model
    weights = weights_from(name, models.folder)
    _, resolved = _weights.located(weights, models.catalog)
    kind = LocalModel if resolved.kind == "causal-lm" else Encoder
    return kind(weights, dtype=dtype or "auto", catalog=models.catalog)


def _likelihoods(models: Collaboration, spec: specs.BartScoreSpec) -> Likelihoods:
    """Return what finds texts likely: a language model in a prompt, or a sequence-to-sequence one.

    Raises:
        ConfigError: a prompt for a model that takes none.
        ModelError: no such weights.
    """
    from pilotfish.assemble._build_curate_models import reader_of
    from pilotfish.evaluate.likelihood import Continues
    from pilotfish.evaluate.seq2seq import Seq2Seq

    if spec.model not in models.names and _is_seq2seq(models, spec.model):
        if spec.prompt is not None:
            raise ConfigError(f"{spec.model} is a sequence-to-sequence model: it takes no `prompt`")
        return Seq2Seq(weights_from(spec.model, models.folder), dtype=spec.dtype or "float32", catalog=models.catalog)
    reader = reader_of(models, spec.model, spec.dtype)
    return Continues(reader) if spec.prompt is None else Continues(reader, spec.prompt)


def _is_seq2seq(models: Collaboration, name: str) -> bool:
    import json

    from pilotfish.models import _weights

    folder, _ = _weights.located(weights_from(name, models.folder), models.catalog)
    config = folder / "config.json"
    return config.is_file() and bool(json.loads(config.read_bytes()).get("is_encoder_decoder"))


def _no_model(models: Collaboration, name: str) -> str:
    """Return weights; the file's models are of other kinds.

    Raises:
        ConfigError: the name is a model's of the file.
    """
    if name in models.names:
        raise ConfigError(f"{models.where}: [models.{name}] is no classifier of pairs: name its weights instead")
    return weights_from(name, models.folder)


def _texts(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
