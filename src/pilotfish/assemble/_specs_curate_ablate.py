"""The `[curate.ablate]` table: what is taught on the kept, the dropped and a random set, and measured on what."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Count, Spec, Text
from pilotfish.assemble._specs_distill import FitSpec

__all__ = ["AblateSpec"]


class AblateSpec(Spec):
    """`[curate.ablate]`: `student` is weights; `test` a file of rows; `prompt` the column of what is asked, if any."""

    student: Text
    test: Text
    prompt: Text | None = None
    rows: Count | None = None
    seeds: Annotated[list[int], Field(min_length=1)] = [0, 1, 2]
    length: Count = 512
    fit: FitSpec = FitSpec()

    @model_validator(mode="after")
    def _one_place(self) -> AblateSpec:
        if "seed" in self.fit.model_fields_set:
            raise ValueError("`seeds` are given here, one a training: `seed` of `fit` would not be looked at")
        return self
