"""The `[adapt]` table: an energy, taught which of a model's answers are right.

[adapt]
rows = "questions.jsonl"          # prompt, answer
encoder = "all-minilm-l6-v2"
out = "energy"
model = "large"                   # whose answers are drawn; without it the rows have `right` and `wrong`
grade = "last-number"
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, From0, Ref, Spec, Text
from pilotfish.assemble._specs_distill import FitSpec

__all__ = ["AdaptSpec"]


class AdaptSpec(Spec):
    """What `pilotfish adapt` reads. With a `model` its answers are graded against `gold`; else rows say what is right.

    `wrong` is a column of lists. `given` counts people's answers in `gold` as right ones where the model has none.
    """

    rows: Text
    encoder: Text
    out: Text
    prompt: Text = "prompt"
    model: Ref | None = None
    gold: Text | None = None
    grade: Text | None = None
    given: bool = True
    rounds: Count = 2
    draws: Annotated[int, Field(ge=2)] = 4
    temperature: Above0 = 1.0
    max_tokens: Count = 256
    concurrency: Count | None = None
    right: Text | None = None
    wrong: Text | None = None
    pooling: Literal["mean", "last"] | None = None
    max_length: Count = 512
    fit: FitSpec | None = None
    square: From0 = 0.01
    head_rate: Above0 = 30.0
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.1

    @model_validator(mode="after")
    def _one_way(self) -> AdaptSpec:
        if self.model is None:
            if self.gold is not None or self.grade is not None:
                raise ValueError("`gold` and `grade` are of a `model`'s answers: name it")
        elif self.right is not None or self.wrong is not None:
            raise ValueError("`right` and `wrong` are of rows that have them: leave `model` out")
        return self
