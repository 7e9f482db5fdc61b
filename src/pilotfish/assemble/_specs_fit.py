"""`[fit]`: what the flags of `pilotfish fit` say; and models of the folders that it exports."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, From0, Spec, Text
from pilotfish.assemble._specs_check import Ways, fits

__all__ = ["FitSpec", "FittedSpec"]

Share = Annotated[float, Field(gt=0, lt=1)]
SORTS: Ways = {
    "classes": (("text", "label"), ("test", "names", "test_share")),
    "similarity": (("a", "b", "score"), ()),
    "choices": (("prompt", "choices", "answer"), ()),
    "text": (("text",), ()),
}


class FitSpec(Spec):
    """Rows, models and limits. Paths are relative to the file.

    The columns say what the rows are: `text` and `label`; `a`, `b` and `score`; `prompt`, `choices` and `answer`; or
    `text` alone. Sizes, times and energies are texts with their unit, or numbers of bytes, seconds and joules.
    """

    rows: Text
    models: list[Text] = []
    text: Text | None = None
    label: Text | None = None
    test: Text | None = None
    names: dict[str, str] | None = None
    test_share: Share | None = None
    a: Text | None = None
    b: Text | None = None
    score: Text | None = None
    prompt: Text | None = None
    choices: Text | None = None
    answer: Text | None = None
    memory: str | Above0 | None = None
    p95: str | Above0 | None = None
    energy: str | Above0 | None = None
    rows_per_day: Above0 | None = None
    cold_start: str | Above0 | None = None
    disk: str | Above0 | None = None
    runtimes: list[Literal["torch", "onnx", "openvino", "llamacpp"]] = []
    precisions: list[Literal["fp32", "bf16", "int8", "int4"]] = []
    margin: From0 = 0.0
    seconds: Above0 = 10.0
    batch: Count = 32
    new_tokens: Count = 16
    threads: Count | None = None
    candidate_seconds: Above0 = 1800.0
    out: Text = "out/fit"
    format: str | None = None
    encoding: str | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _one_sort(self) -> FitSpec:
        fits("the columns", self.sort, SORTS, self.columns)
        return self

    @property
    def sort(self) -> str:
        """What the rows are, by their columns."""
        if self.label is not None:
            return "classes"
        if self.a is not None or self.b is not None or self.score is not None:
            return "similarity"
        return "choices" if self.choices is not None or self.answer is not None or self.prompt is not None else "text"

    @property
    def columns(self) -> dict[str, object]:
        """The settings that belong to one sort of rows only."""
        own = {name for needed, allowed in SORTS.values() for name in (*needed, *allowed)}
        return {name: getattr(self, name) for name in own if getattr(self, name) is not None}


class FittedSpec(Spec):
    """A folder that `pilotfish fit` exported."""

    use: Literal["fitted"]
    path: Text
    threads: Count | None = None
