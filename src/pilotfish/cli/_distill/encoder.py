"""An encoder for `pilotfish distill`: of the file, of weights, or made of a language model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_distill import DistillSpec
    from pilotfish.models.encoder import Encoder
    from pilotfish.train.settings import Fit

__all__ = ["encoder_in", "fit_of"]


def encoder_in(models: Collaboration, spec: DistillSpec, name: str, *, lm: bool = False) -> Any:
    """Return an encoder of the file or of weights; of a language model one is made, beside the result.

    Args:
        models: of the file.
        spec: the settings.
        name: of a model of the file, or weights.
        lm: take a language model as it is.

    Raises:
        ConfigError: a model of the file that has no weights.
    """
    from pilotfish.assemble.build import weights_from
    from pilotfish.assemble.specs import EncoderSpec, LocalSpec
    from pilotfish.errors import ConfigError
    from pilotfish.models._weights import located
    from pilotfish.models.local import LocalModel
    from pilotfish.train.folder import digest
    from pilotfish.train.processes import main_first

    weights = name
    if name in models.names:
        named = models.spec(name)
        if isinstance(named, EncoderSpec):
            return models.encoder(name)
        if not isinstance(named, LocalSpec):
            raise ConfigError(f"[distill] {name!r} has no weights here, and vectors are read off those")
        if lm:
            return models.model(name)
        weights = named.weights
    weights = weights_from(weights, models.folder)
    folder, resolved = located(weights, models.catalog)
    if resolved.kind == "encoder" or (folder / "modules.json").is_file():
        return _loaded(weights, spec, models)
    if lm:
        return LocalModel(weights, device=spec.device, catalog=models.catalog)
    made = Path(f"{spec.out}-encoder-{digest(weights, ())[:8]}")  # of other weights another is made
    with main_first():
        if not (made / "modules.json").is_file():
            from pilotfish.train.lm_encoder import encoder_of_lm

            encoder_of_lm(weights, made, catalog=models.catalog)
    return _loaded(str(made), spec, models)


def _loaded(weights: str, spec: DistillSpec, models: Collaboration) -> Encoder:
    from pilotfish.models.encoder import Encoder

    return Encoder(weights, device=spec.device, catalog=models.catalog)


def fit_of(spec: DistillSpec, own: Fit) -> Fit:
    """Return how an encoder is trained: what is given over the defaults of its kind, not a language model's."""
    from dataclasses import replace

    return replace(own, **spec.fit.model_dump(exclude_unset=True))
