"""An encoder for `pilotfish distill`: of the file, of weights, or made of a language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_distill import DistillSpec
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
    from pilotfish.assemble._build_encoder import tunable

    return tunable(name, models, str(spec.out), device=spec.device, as_it_is=lm)


def fit_of(spec: DistillSpec, own: Fit) -> Fit:
    """Return how an encoder is trained: what is given over the defaults of its kind, not a language model's."""
    from dataclasses import replace

    return replace(own, **spec.fit.model_dump(exclude_unset=True))
