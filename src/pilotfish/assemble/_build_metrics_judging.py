"""Metrics of files, further ones: what is moved, borne out or claimed, what a model says yes to, what it was taught."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pilotfish.assemble import _specs_metrics as specs
from pilotfish.assemble._build_curate_models import reader_of
from pilotfish.assemble._metric_models import classifier_of, is_seq2seq, likelihoods_of, states_of, texts_in
from pilotfish.assemble._weights import weights_from
from pilotfish.errors import UpstreamError
from pilotfish.model import Request
from pilotfish.models.calls import heard

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.evaluate.metric import OfRows
    from pilotfish.evaluate.sampled import Checks, LeftOut
    from pilotfish.evaluate.scores import Scores
    from pilotfish.evaluate.yes_no import Chooses
    from pilotfish.rows._row import Row

__all__ = ["BUILD"]


def _moverscore(spec: specs.MoverScoreSpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.bertscore import Idf
    from pilotfish.evaluate.metric import over_columns
    from pilotfish.evaluate.mover import MoverScore

    model = states_of(models, spec.model, spec.dtype)
    metric = MoverScore(model, spec.layer, n=spec.n, long=spec.long)

    def made(rows: Iterable[Row]) -> OfRows:
        references = [one.strip() for row in rows for one in texts_in(row.get(spec.reference))]
        idf = Idf.over(references, metric.states)
        heavy = MoverScore(model, spec.layer, n=spec.n, idf=idf, long=spec.long)
        return over_columns(heavy, candidate, spec.reference)

    first = over_columns(metric, candidate, spec.reference)
    return replace(first, learn=made) if spec.idf else first


def _consistency(spec: specs.ConsistencySpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.consistency import Consistency
    from pilotfish.evaluate.metric import over_columns

    infers = classifier_of(models, spec.model, spec.labels, spec.dtype)
    metric = Consistency(infers, sizes=spec.sizes, language=spec.language)
    return over_columns(metric, spec.source, candidate)


def _claims(spec: specs.ClaimsSpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.claims import ClaimCheck, Claims
    from pilotfish.evaluate.metric import over_columns

    model = models.model(spec.model)
    claims = Claims(model, models.folder / spec.store, form=spec.form, max_tokens=spec.max_tokens)
    infers = classifier_of(models, spec.checker, spec.labels, spec.dtype)
    return over_columns(ClaimCheck(claims, infers, size=spec.size, language=spec.language), spec.source, candidate)


def _yes_no(spec: specs.YesNoSpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.metric import over_columns
    from pilotfish.evaluate.yes_no import YesNo

    metric = YesNo(_chooser(models, spec.model, spec.dtype), spec.question, answers=spec.answers)
    known = {"text": candidate, "source": spec.source}

    def scored(*columns: Sequence[str | Sequence[str]]) -> Scores:
        return metric(*([_whole(one) for one in column] for column in columns))

    return over_columns(scored, *(known.get(name, name) for name in metric.columns), label=metric.name)


def _whole(value: str | Sequence[str]) -> str:
    """Return passages as one text."""
    return value if isinstance(value, str) else "\n".join(value)


def _chooser(models: Collaboration, name: str, dtype: str | None) -> Chooses:
    from pilotfish.evaluate.yes_no import ReadsPairs
    from pilotfish.models.local import LocalModel

    if name not in models.names and is_seq2seq(models, name):
        return ReadsPairs(likelihoods_of(models, name, dtype))
    if name in models.names:
        found = models.part(name)
        if isinstance(found, LocalModel):
            return found
        return ReadsPairs(likelihoods_of(models, name, dtype))
    return LocalModel(weights_from(name, models.folder), dtype=dtype or "auto", catalog=models.catalog)


def _perplexity(spec: specs.PerplexitySpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.fluency import Perplexity
    from pilotfish.evaluate.metric import over_columns

    return over_columns(Perplexity(reader_of(models, spec.model, spec.dtype)), candidate, higher=False)


def _estimator(spec: specs.EstimatorSpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.estimator import Estimator
    from pilotfish.evaluate.metric import OfRows

    taught = Estimator.load(weights_from(spec.path, models.folder), models.catalog)
    # The judged text is the last column that it was taught on, whatever the column of this file is called.
    columns = (*taught.columns[:-1], candidate) if taught.columns else ()

    def scores(rows: Sequence[Row]) -> Scores:
        if not taught.columns:
            return taught(rows)
        given = [{own: _whole(row[name]) for own, name in zip(taught.columns, columns, strict=True)} for row in rows]
        return taught([row | texts for row, texts in zip(rows, given, strict=True)])

    return OfRows(taught.name, columns, scores)


def _selfcheck(spec: specs.SelfCheckSpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.metric import over_columns
    from pilotfish.evaluate.sampled import SelfCheck

    checks, name, left_out = _checks(spec, models)
    metric = SelfCheck(checks, name, language=spec.language, left_out=left_out)
    return over_columns(metric, candidate, spec.samples, higher=False)


def _checks(spec: specs.SelfCheckSpec, models: Collaboration) -> tuple[Checks, str, LeftOut | None]:
    """Return the way of checking, its name, and what it does not read."""
    from pilotfish.evaluate import selfcheck
    from pilotfish.evaluate.bertscore import BertScore
    from pilotfish.rows.sentences import sentences_of

    if spec.model is None:
        return partial(selfcheck.by_ngrams, n=spec.n), f"{spec.n}-grams", None
    if spec.way == "nli":
        infers = classifier_of(models, spec.model, spec.labels, spec.dtype or "float32")
        return partial(selfcheck.by_nli, infers=infers), f"nli, {infers.name}", infers.left_out
    if spec.way == "bertscore":
        metric = BertScore(states_of(models, spec.model, spec.dtype), spec.layer)

        def by_states(sentences: Sequence[str], samples: Sequence[str]) -> Any:
            theirs = [sentences_of(text, spec.language) or [text] for text in samples]
            return selfcheck.by_bertscore(sentences, theirs, metric)

        return by_states, metric.name, None
    model = models.model(spec.model)

    def answers(prompts: Sequence[str]) -> list[str]:
        folder = models.folder / spec.store
        folder.mkdir(parents=True, exist_ok=True)
        asked = [(Request.of(prompt, max_tokens=8, temperature=0.0), 0) for prompt in prompts]
        told = heard(model, asked, folder / "selfcheck.sqlite", progress=False)
        if told.again:
            raise UpstreamError(f"{model.name} failed for {told.again:,} questions: run again, its answers are kept")
        return ["" if said is None else said.text for said in told.said]

    return partial(selfcheck.by_prompt, answers=answers), f"prompt, {model.name}", None


def _semantic_entropy(spec: specs.SemanticEntropySpec, models: Collaboration, candidate: str) -> OfRows:
    from pilotfish.evaluate.metric import over_columns
    from pilotfish.evaluate.nli import ENTAILMENT
    from pilotfish.evaluate.sampled import Meanings

    if spec.model is None:
        return over_columns(Meanings(), spec.samples, higher=False)
    infers = classifier_of(models, spec.model, spec.labels, spec.dtype)

    def entails(pairs: Sequence[tuple[str, str]]) -> list[float]:
        told: list[float] = infers(pairs)[:, ENTAILMENT].tolist()
        return told

    metric = Meanings(entails, least=spec.least, name=infers.name, left_out=infers.left_out)
    return over_columns(metric, spec.samples, higher=False)


# A kind's class -> what builds it.
BUILD: dict[type[specs.MetricSpec], Any] = {
    specs.MoverScoreSpec: _moverscore,
    specs.ConsistencySpec: _consistency,
    specs.ClaimsSpec: _claims,
    specs.YesNoSpec: _yes_no,
    specs.PerplexitySpec: _perplexity,
    specs.EstimatorSpec: _estimator,
    specs.SelfCheckSpec: _selfcheck,
    specs.SemanticEntropySpec: _semantic_entropy,
}
