"""The table of a route: models, a fitted router, and what to choose by."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Ref, Spec, Text

__all__ = ["ChooseSpec", "RouteSpec"]

Positive = Annotated[float, Field(ge=0)]


class ChooseSpec(Spec):
    """One of: `quality_at_least`, the cheapest that reaches it; `cost_at_most`, dollars; `price` of a dollar."""

    quality_at_least: float | None = None
    cost_at_most: Positive | None = None
    price: Positive | None = None

    @model_validator(mode="after")
    def _one(self) -> ChooseSpec:
        if len(self.model_dump(exclude_none=True)) > 1:
            raise ValueError("choose by one of quality_at_least, cost_at_most and price, not by several")
        return self


class RouteSpec(Spec):
    """Models of which a saved router chooses one before any is asked; the best foretold where `choose` says nothing."""

    use: Literal["route"]
    models: Annotated[list[Ref], Field(min_length=1)]
    router: Text
    choose: ChooseSpec = ChooseSpec()
    sticky: Annotated[int, Field(ge=0)] = 10_000
