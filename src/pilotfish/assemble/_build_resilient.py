"""From a checked table to a model that holds though what it asks fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._specs_resilient import BreakerSpec, FallbackSpec, HedgedSpec

if TYPE_CHECKING:
    from pilotfish.assemble._specs_resilient import ResilientSpec
    from pilotfish.model import Model


def build_resilient(name: str, spec: ResilientSpec, part: Callable[[str], Any]) -> Model:
    """Return the model; `part` gives the model of another name."""
    from pilotfish.infer import resilient

    def timed(of: str, seconds: float | None) -> Any:
        return part(of) if seconds is None else resilient.Timed(part(of), seconds)

    if isinstance(spec, FallbackSpec):
        return resilient.Fallback([timed(one, spec.timeout) for one in spec.models], name)
    if isinstance(spec, BreakerSpec):
        settings = spec.model_dump(exclude={"use", "model", "timeout"})
        return resilient.Breaker(timed(spec.model, spec.timeout), name=name, **settings)
    assert isinstance(spec, HedgedSpec)
    settings = spec.model_dump(exclude={"use", "model", "models"}, exclude_none=True)
    names = [spec.model] if spec.model is not None else spec.models
    return resilient.Hedged([part(one) for one in names], name=name, **settings)
