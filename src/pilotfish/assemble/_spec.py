"""The base of every table of a collaboration file, and the kinds of value that many tables share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Ref = Annotated[str, "the name of another model of this file"]
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Above0 = Annotated[float, Field(gt=0)]
From0 = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Spec(BaseModel):
    """Every table: unknown keys are errors, values are not coerced between kinds; whole numbers are floats too."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class PriceSpec(Spec):
    """US dollars per million tokens."""

    input: Annotated[float, Field(ge=0)] = 0.0
    output: Annotated[float, Field(ge=0)] = 0.0
