"""From the checked tables of steps that go by models to the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotfish.assemble import _specs_curate_models as specs
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._spec import Spec
    from pilotfish.curate.barrier import Barrier
    from pilotfish.models.local import LocalModel
    from pilotfish.models.reader import Reader
    from pilotfish.rows.stage import Stage

__all__ = ["build_model_step", "reader_of"]


def build_model_step(step: Spec, text: str, models: Collaboration) -> Stage | Barrier:
    """Return a step of a table.

    Raises:
        ConfigError: settings that do not go together, or a model of another kind than the step needs.
    """
    from pilotfish.assemble.build import encoder_named
    from pilotfish.curate.coverage import Cover
    from pilotfish.curate.judged import Expected, LearningPercentage, Necessity, Rated
    from pilotfish.curate.reading import IFD, Compression, LossDifference, Perplexity
    from pilotfish.curate.select import Bands, Best

    own: dict[str, Any] = step.model_dump(exclude={"do"}, exclude_unset=True)
    if isinstance(step, specs.CompressionSpec):
        return Compression(text=text, **own)
    if isinstance(step, specs.BandsSpec):
        return Bands(**own)
    if isinstance(step, specs.BestSpec):
        return Best(**own)
    if isinstance(step, specs.CoverSpec):
        columns = own.pop("columns", None) or text
        return Cover(encoder_named(own.pop("encoder"), models, "auto"), text=columns, **own)
    if isinstance(step, specs.RatedSpec):
        return Rated(models.model(own.pop("model")), **own)
    if isinstance(step, specs.NecessitySpec):
        judge = own.pop("judge", None)
        return Necessity(models.model(own.pop("model")), judge=None if judge is None else models.model(judge), **own)
    if isinstance(step, specs.ExpectedSpec):
        return Expected(_scorer(models, own.pop("scorer")), **own)
    if isinstance(step, specs.InfluenceSpec):
        return _influence(step, own, models)
    dtype = own.pop("dtype", None)
    for key in ("input", "most"):
        if own.get(key) is False:
            own[key] = None
    if isinstance(step, specs.PerplexitySpec):
        return Perplexity(reader_of(models, own.pop("reader"), dtype), text=text, **own)
    if isinstance(step, specs.IfdSpec):
        return IFD(reader_of(models, own.pop("reader"), dtype), **own)
    assert isinstance(step, specs.LossDifferenceSpec | specs.LearnedSpec)
    names = ("base", "reference") if isinstance(step, specs.LossDifferenceSpec) else ("base", "early", "final")
    readers = [reader_of(models, own.pop(name), dtype) for name in names]
    if isinstance(step, specs.LearnedSpec):
        return LearningPercentage(*readers, **own)
    return LossDifference(*readers, text=text, **own)


def _influence(step: specs.InfluenceSpec, own: dict[str, Any], models: Collaboration) -> Barrier:
    from pilotfish.assemble._weights import weights_from
    from pilotfish.curate.influence import Influence
    from pilotfish.rows.read import read
    from pilotfish.train.settings import Fit

    wanted = list(read(models.folder / own.pop("wanted")))
    if own.get("prompt") is False:
        own["prompt"] = None
    fit = Fit(**step.fit.model_dump())
    own.pop("fit", None)
    return Influence(weights_from(own.pop("student"), models.folder), wanted, fit=fit, catalog=models.catalog, **own)


def reader_of(models: Collaboration, name: str, dtype: str | None) -> Reader:
    """Return a reader of a local model of the file, or of weights; a path beside the file counts as from the file."""
    from pilotfish.assemble._weights import weights_from
    from pilotfish.models.local import LocalModel
    from pilotfish.models.reader import Reader

    if name not in models.names:
        return Reader(weights_from(name, models.folder), dtype=dtype or "auto", catalog=models.catalog)
    local = models.part(name)
    if not isinstance(local, LocalModel):
        raise ConfigError(f'{models.where}: [models.{name}] cannot read: a local model is needed (use = "local")')
    return Reader(
        local.weights,
        name=name,
        dtype=dtype or local.dtype,
        device=local.device,
        threads=local.threads,
        catalog=models.catalog,
    )


def _scorer(models: Collaboration, name: str) -> LocalModel:
    from pilotfish.assemble._weights import weights_from
    from pilotfish.models.local import LocalModel

    if name not in models.names:
        return LocalModel(weights_from(name, models.folder), catalog=models.catalog)
    local = models.part(name)
    if not isinstance(local, LocalModel):
        raise ConfigError(f'{models.where}: [models.{name}] cannot score: a local model is needed (use = "local")')
    return local
