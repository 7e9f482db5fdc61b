"""The `[distill]` table: what a student learns from whom, and how; paths are from the file's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pilotfish.assemble._spec import Above0, Count, From0, Share, Spec, Text
from pilotfish.assemble._specs_blackbox import (
    AnswersSpec,
    LabelsSpec,
    PreferencesSpec,
    RationalesSpec,
    VectorsSpec,
)


class StudentSpec(Spec):
    """A student that is cut out of larger weights: `student = { of = "…", layers = 15, out = "half" }`."""

    of: Text
    out: Text
    layers: Count | list[int] | None = None
    hidden: Count | None = None
    intermediate: Count | None = None
    heads: Count | None = None
    seed: int = 0


class LossSpec(Spec):
    """`[distill.loss]`: α T² D(teacher, student at T) + (1 - α) cross-entropy."""

    divergence: Text = "forward-kl"
    alpha: Share = 1.0
    temperature: Above0 = 1.0
    beta: Share | None = None
    skew: Share | None = None
    head: Share | None = None

    @property
    def settings(self) -> dict[str, float]:
        """The divergence's own settings, as far as they are given."""
        return {name: value for name in ("beta", "skew", "head") if (value := getattr(self, name)) is not None}


class SamplingSpec(Spec):
    """`[distill.on_policy]`: the student answers some of the prompts itself."""

    share: Share = 0.5
    temperature: Above0 = 1.0
    max_tokens: Count = 128
    how: Literal["gkd", "minillm"] = "gkd"
    mixed: Annotated[float, Field(ge=0, lt=1)] = 0.0


class DraftSpec(Spec):
    """`[distill.draft]`: the student is to draft for its teacher, over the teacher's own answers to the prompts."""

    length: Count = 4
    max_tokens: Count = 128
    temperature: From0 = 0.0


class MatchingSpec(Spec):
    """`[distill.matching]`: hidden states or attention are matched beside the distributions."""

    weight: Above0 = 1.0
    what: Literal["hidden", "attention"] = "hidden"
    layers: Literal["uniform", "last"] = "uniform"
    loss: Literal["mse", "cosine"] = "cosine"
    normalise: bool = False


class FitSpec(Spec):
    """`[distill.fit]`; see `pilotfish.train.settings.Fit`."""

    epochs: Count = 1
    steps: Count | None = None
    batch_tokens: Count = 2048
    accumulate: Count = 1
    rate: Above0 = 2e-4
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Share = 0.1
    decay: From0 = 0.0
    clip: Above0 | None = 1.0
    rank: Annotated[int, Field(ge=0)] = 0
    scale: Above0 = 32.0
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    recompute: bool = False
    every: Count = 50
    evaluate_every: Count | None = None
    patience: Count | None = None
    tensorboard: bool = False
    seed: int = 0


class DistillSpec(Spec):
    """The `[distill]` table. `teacher` is a model of the file by its name, or weights.

    Of a teacher whose weights are not here, or that is several models, the answers to `prompt` are learnt. One of the
    tables `rationales`, `preferences`, `labels` and `vectors` says that something else is.

    A row is a text in the column `text`; with `prompt`, a template over the columns, it is that prompt and the answer
    in the column `answer`. For a draft the prompt alone, or the text as the prompt.
    """

    student: Text | StudentSpec | None = None
    teacher: Text | None = None
    rows: Text | None = None
    out: Text | None = None
    text: Text = "text"
    prompt: Text | None = None
    answer: Text = "answer"
    length: Annotated[int, Field(ge=2)] = 512
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    cached: Count | None = None
    cache: Text | None = None
    shard: bool = False
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    device: str = "auto"
    loss: LossSpec = LossSpec()
    on_policy: SamplingSpec | None = None
    matching: MatchingSpec | None = None
    draft: DraftSpec | None = None
    answers: AnswersSpec = AnswersSpec()
    rationales: RationalesSpec | None = None
    preferences: PreferencesSpec | None = None
    labels: LabelsSpec | None = None
    vectors: VectorsSpec | None = None
    fit: FitSpec = FitSpec()
    format: str | None = None
    encoding: str | None = None
    strict: bool = False
