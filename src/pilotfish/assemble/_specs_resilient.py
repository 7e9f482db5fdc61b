"""The tables of models that hold though what they ask fails: fallbacks, circuit breakers, hedged calls."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Count, Ref, Spec

__all__ = ["RESILIENT", "RESILIENT_MEANS", "BreakerSpec", "FallbackSpec", "HedgedSpec", "ResilientSpec"]

Seconds = Annotated[float, Field(gt=0)]
Within = Annotated[float, Field(gt=0, lt=1)]


class ResilientSpec(Spec):
    """What the tables here share."""


class FallbackSpec(ResilientSpec):
    """`models` in order; the next one answers when one fails, or takes more than `timeout` seconds."""

    use: Literal["fallback"]
    models: Annotated[list[Ref], Field(min_length=2)]
    timeout: Seconds | None = None


class BreakerSpec(ResilientSpec):
    """A model that is left alone for `rest` seconds when it keeps failing."""

    use: Literal["breaker"]
    model: Ref
    failures: Count = 5
    window: Seconds = 30.0
    rest: Seconds = 15.0
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    timeout: Seconds | None = None


class HedgedSpec(ResilientSpec):
    """A `model` that is asked again when it is late, or `models` that are asked one after another then."""

    use: Literal["hedged"]
    model: Ref | None = None
    models: list[Ref] = []
    after: Annotated[float, Field(ge=0)] | None = None
    quantile: Within | None = None
    share: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _fits(self) -> HedgedSpec:
        if (self.model is None) == (not self.models):
            raise ValueError("a hedged model takes `model`, which is asked twice, or `models`, a list of two or more")
        if len(self.models) == 1:
            raise ValueError("`models` of a hedged model are two or more; one that is asked twice is its `model`")
        if self.after is not None and self.quantile is not None:
            raise ValueError("a hedged model takes `after`, in seconds, or `quantile`, of its own past latencies")
        return self


RESILIENT: dict[str, type[Spec]] = {"fallback": FallbackSpec, "breaker": BreakerSpec, "hedged": HedgedSpec}
RESILIENT_MEANS = {
    "fallback": ("timeout",),
    "breaker": ("failures", "window", "rest", "share", "timeout"),
    "hedged": ("after", "quantile", "share"),
}
