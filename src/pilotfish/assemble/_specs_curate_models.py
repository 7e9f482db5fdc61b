"""The steps of a curation that go by models: what a reader finds, bands and the best of it, coverage, judges."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Count, Ref, Spec, Text

__all__ = [
    "MODEL_STEPS",
    "BandsSpec",
    "BestSpec",
    "CompressionSpec",
    "CoverSpec",
    "ExpectedSpec",
    "IfdSpec",
    "InfluenceSpec",
    "LearnedSpec",
    "LossDifferenceSpec",
    "NecessitySpec",
    "PerplexitySpec",
    "RatedSpec",
]

# Strict: a bound that is text is a slip.
Number = float
Share = Annotated[float, Field(gt=0, le=1)]
Tokens = Annotated[int, Field(ge=2)]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]


class _Reads(Spec):
    """What all steps share whose model reads."""

    dtype: Dtype = "auto"
    length: Tokens | None = None
    stride: Tokens | None = None
    most_tokens: Tokens | None = None


class PerplexitySpec(_Reads):
    """`do = "perplexity"`: notes each text's perplexity; `reader` is a local model of the file, or weights."""

    do: Literal["perplexity"]
    reader: Text
    into: Text = "perplexity"
    per: Literal["token", "byte", "word"] = "token"
    least: Number | None = None
    most: Number | None = None


class CompressionSpec(Spec):
    """`do = "compression"`: compressed bytes over bytes: what perplexity has to beat."""

    do: Literal["compression"]
    into: Text = "compression"
    least: Number | None = None
    most: Number | None = None


class LossDifferenceSpec(_Reads):
    """`do = "loss-difference"`: the base model's loss less that of the reference, in nats a token."""

    do: Literal["loss-difference"]
    base: Text
    reference: Text
    into: Text = "loss_difference"
    least: Number | None = None
    most: Number | None = None


class IfdSpec(_Reads):
    """`do = "ifd"`: instruction-following difficulty; `input = false` where there is no such column."""

    do: Literal["ifd"]
    reader: Text
    instruction: Text = "instruction"
    answer: Text = "output"
    input: Text | Literal[False] = "input"
    into: Text = "ifd"
    most: Number | Literal[False] = 1.0
    counted: Literal["same", "published"] = "same"


class LearnedSpec(_Reads):
    """`do = "learned"`: the share of an answer's fall in perplexity that the first epoch brought."""

    do: Literal["learned"]
    base: Text
    early: Text
    final: Text
    instruction: Text = "instruction"
    answer: Text = "output"
    input: Text | Literal[False] = "input"
    into: Text = "learned"


class BandsSpec(Spec):
    """`do = "bands"`: cuts a column into bands of equal size, or at `cuts`, and keeps some; in two passes."""

    do: Literal["bands"]
    column: Text = "perplexity"
    names: list[Text] = ["head", "middle", "tail"]
    cuts: list[Number] | None = None
    keep: list[Text] | None = None
    by: Text | None = None
    into: Text = "band"


class BestSpec(Spec):
    """`do = "best"`: the highest values of a column, a share or a count of rows; in two passes."""

    do: Literal["best"]
    column: Text
    share: Share | None = None
    count: Count | None = None
    lowest: bool = False
    by: Text | None = None


class CoverSpec(Spec):
    """`do = "cover"`: rows that cover the others; `encoder` is one of the file, or weights; in two passes."""

    do: Literal["cover"]
    encoder: Text
    how: Literal["k-center", "facility-location", "distinct", "clusters"] = "k-center"
    share: Share | None = None
    count: Count | None = None
    columns: Annotated[list[Text], Field(min_length=1)] | None = None
    score: Text | None = None
    most: Number | None = None
    clusters: Count | None = None
    seed: Annotated[int, Field(ge=0)] | None = None


class RatedSpec(Spec):
    """`do = "rated"`: a model of the file rates each row; the prompt is a template over the columns."""

    do: Literal["rated"]
    model: Ref
    prompt: Text | None = None
    low: Number = 0
    high: Number = 5
    least: Number | None = None
    into: Text = "rating"
    max_tokens: Count = 200
    concurrency: Count | None = None


class NecessitySpec(Spec):
    """`do = "necessity"`: rows that `model` answers badly, as `judge` finds, or `grade` by the column `gold`."""

    do: Literal["necessity"]
    model: Ref
    prompt: Text
    judge: Ref | None = None
    grade: Text | None = None
    gold: Text | None = None
    least: Number | None = None
    into: Text = "necessity"
    low: Number = 1
    high: Number = 10
    max_tokens: Count = 256
    concurrency: Count | None = None

    @model_validator(mode="after")
    def _graded(self) -> NecessitySpec:
        if (self.judge is None) == (self.grade is None):
            raise ValueError("answers are graded by a `judge`, or by `grade` and `gold`: give one")
        unread = [key for key in ("low", "high") if key in self.model_fields_set and self.judge is None]
        if unread:
            raise ValueError(f"{' and '.join(unread)}: the scale of a judge, and there is none")
        return self


class WarmUpSpec(Spec):
    """`fit = { epochs = 4, rank = 16 }`: how the adapters of an influence are warmed up."""

    epochs: Count = 4
    rank: Count = 16
    batch_tokens: Count = 2048
    rate: Annotated[float, Field(gt=0)] = 2e-4
    scale: Annotated[float, Field(gt=0)] = 32.0
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"


class InfluenceSpec(Spec):
    """`do = "influence"`: how much a row teaches what the rows of the file `wanted` show, by gradients."""

    do: Literal["influence"]
    student: Text
    wanted: Text
    answer: Text = "output"
    prompt: Text | Literal[False] = "instruction"
    task: Text | None = None
    into: Text = "influence"
    least: Number | None = None
    warm_up: Share = 0.05
    fit: WarmUpSpec = WarmUpSpec()
    size: Annotated[int, Field(ge=2, multiple_of=2)] = 4096
    length: Tokens = 512
    seed: Annotated[int, Field(ge=0)] = 0


class ExpectedSpec(Spec):
    """`do = "expected"`: the mean of a scale under a local model's probabilities; `scorer` is one of the file."""

    do: Literal["expected"]
    scorer: Text
    prompt: Text
    low: int = 1
    high: int = 6
    chat: bool = False
    into: Text = "score"
    least: Number | None = None


MODEL_STEPS: dict[str, type[Spec]] = {
    "perplexity": PerplexitySpec,
    "compression": CompressionSpec,
    "loss-difference": LossDifferenceSpec,
    "ifd": IfdSpec,
    "learned": LearnedSpec,
    "bands": BandsSpec,
    "best": BestSpec,
    "cover": CoverSpec,
    "rated": RatedSpec,
    "necessity": NecessitySpec,
    "expected": ExpectedSpec,
    "influence": InfluenceSpec,
}
