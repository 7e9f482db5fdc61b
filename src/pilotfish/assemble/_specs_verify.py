"""The table of verified models, and the `[verify]` table: a small verifier, taught which answers were right.

[verify]
rows = "graded.jsonl"             # prompt, answer, right
weights = "smollm2-135m-instruct"
out = "verifier"
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Count, From0, Ref, Spec, Text
from pilotfish.assemble._specs_cascade import AcceptSpec

__all__ = ["VerifiedSpec", "VerifySpec"]


class VerifiedSpec(Spec):
    """`model` answers, and `verify` says whether its reply is given: any way that a cascade accepts by, or several.

    Where it is not, `on_reject` says what is tried, and `then`, or `fallback`, what is given in the end.
    """

    use: Literal["verified"]
    model: Ref
    verify: Annotated[list[AcceptSpec], Field(min_length=1)]
    need: Literal["all", "any"] = "all"
    on_reject: Literal["retry", "refine", "stop"] = "retry"
    tries: Count = 3
    then: Literal["abstain", "best"] = "abstain"
    fallback: Ref | None = None
    temperature: From0 = 0.7
    otherwise: Text | None = None
    refine: Text | None = None


class VerifySpec(Spec):
    """What `pilotfish verify` reads. Answers are right where the column `right` says so, or a grade against `gold`."""

    rows: Text
    weights: Text
    out: Text
    prompt: Text = "prompt"
    answer: Text = "answer"
    right: Text | None = None
    gold: Text | None = None
    grade: Text | None = None
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    device: str = "auto"
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.2
    seed: int = 0

    @model_validator(mode="after")
    def _one_way(self) -> VerifySpec:
        if self.right is not None and (self.gold is not None or self.grade is not None):
            raise ValueError("either a column `right` says which answers are right, or a `grade` against `gold`")
        if self.grade is not None and self.gold is None and ":" not in self.grade:
            raise ValueError("a `grade` needs `gold`, the column that it is against")
        return self
