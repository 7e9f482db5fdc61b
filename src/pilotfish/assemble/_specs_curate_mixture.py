"""The `[curate.mixture]` table: which domains, what is wanted, and who finds how much of which."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, Spec, Text
from pilotfish.assemble._specs_distill import FitSpec

__all__ = ["MixtureSpec"]


class MixtureSpec(Spec):
    """`[curate.mixture]`: `domains = { web = "web.jsonl", code = "code.jsonl" }`, `test` what is wanted."""

    domains: Annotated[dict[str, Text], Field(min_length=2)]
    test: Text
    student: Text
    out: Text
    tried: Annotated[int, Field(ge=4)] = 32
    spread: Above0 = 1.0
    seeds: list[int] = [0, 1, 2]
    seed: Annotated[int, Field(ge=0)] = 0
    length: Count = 512
    fit: FitSpec

    @model_validator(mode="after")
    def _so_long(self) -> MixtureSpec:
        if self.fit.steps is None:
            raise ValueError("`fit` needs `steps`: every mixture is learnt for as long")
        if "seed" in self.fit.model_fields_set:
            raise ValueError("`seed` stands in the table itself: that of `fit` would not be looked at")
        return self
