"""`[synthesize.keep]`: which synthesised rows are kept, in the order in which this page names them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, Ref, Spec, Text
from pilotfish.assemble._specs_check import CheckSpec

__all__ = ["KeepSpec"]

Probability = Annotated[float, Field(gt=0, lt=1)]
Similarity = Annotated[float, Field(gt=0, le=1)]


class VerifySpec(CheckSpec):
    """A check of a column, or of the whole row as JSON."""

    column: Text | None = None

    def settings(self) -> dict[str, object]:
        """Return what was given of the check alone."""
        return self.model_dump(exclude={"by", "column"}, exclude_none=True)


class CleanSpec(Spec):
    """`clean = { tests = { official = "test.jsonl" }, text = "text" }`: nothing of test sets."""

    tests: Annotated[dict[str, Text], Field(min_length=1)]
    text: Text = "text"
    columns: list[Text] | None = None
    ngram: Count = 13
    threshold: Similarity | None = 0.8


class UnlikeSpec(Spec):
    """`unlike = { columns = ["text"], threshold = 0.8 }`: nothing twice, nor what `others`, a file of rows, say."""

    columns: list[Text] | None = None
    threshold: Similarity = 0.8
    others: Text | None = None
    ngram: Count = 3
    unit: Literal["char", "word"] = "char"
    method: Literal["auto", "exact", "minhash"] = "auto"


class AgreeSpec(Spec):
    """`agree = { model = "small" }`: a model that answers with labels reads the row's label too."""

    model: Ref
    text: Text = "text"
    label: Text = "label"
    least: Probability | None = None


class GradeSpec(Spec):
    """`grade = { judge = "small", least = 7 }`: a judge's grade is high enough."""

    judge: Ref
    least: float = 7
    low: float = 1
    high: float = 10
    prompt: Text | None = None
    max_tokens: Count = 256
    dollars: Above0 | None = None


class KeepSpec(Spec):
    """`[synthesize.keep]`: what costs nothing first, what is asked of a model last."""

    verify: list[VerifySpec] = []
    clean: CleanSpec | None = None
    unlike: UnlikeSpec | None = None
    agree: AgreeSpec | None = None
    grade: GradeSpec | None = None

    @model_validator(mode="after")
    def _something(self) -> KeepSpec:
        if not self.model_fields_set:
            raise ValueError("keep by what? verify, clean, unlike, agree or grade")
        return self
