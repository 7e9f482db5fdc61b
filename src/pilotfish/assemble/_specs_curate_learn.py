"""`[curate.classifiers.NAME]`: what a quality classifier learns from, and how; see `pilotfish.curate.quality`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Count, Ref, Spec, Text

__all__ = ["ClassifierSpec"]

Files = Text | Annotated[list[Text], Field(min_length=1)]
Positive = Annotated[float, Field(gt=0)]

# The kinds, with the settings that are theirs.
OWN = {
    "hashed": ("ngram", "bits", "c"),
    "static": ("encoder", "dimension", "c"),
    "tuned": ("encoder", "epochs", "rate", "batch_tokens"),
}


class TestSpec(Spec):
    """`test = { positive = "gold_good.jsonl", negative = "gold_bad.jsonl" }`: rows that only the report looks at."""

    positive: Files
    negative: Files


class RatingsSpec(Spec):
    """`ratings = { rows = "sample.jsonl", model = "large" }`: a model rates rows from 0 to 5; its answers are kept.

    Or `ratings = { rows = "rated.jsonl", column = "grade" }`: they are rated already. Learnt from as shares, or, with
    `classes = true`, as good from `good_from` on and bad below.
    """

    rows: Files
    model: Ref | None = None
    column: Text | None = None
    prompt: Text | None = None
    max_tokens: Count | None = None
    concurrency: Count | None = None
    good_from: Annotated[float, Field(gt=0, le=5)] = 3.0
    classes: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> RatingsSpec:
        if (self.model is None) == (self.column is None):
            raise ValueError("ratings are asked of a `model`, or stand in a `column`: give one of the two")
        for name in ("prompt", "max_tokens", "concurrency"):
            if getattr(self, name) is not None and self.model is None:
                raise ValueError(f"`{name}` is about asking a `model`, which is not done")
        return self


class ClassifierSpec(Spec):
    """`[curate.classifiers.NAME]`: from files of good rows and of others, or from ratings."""

    kind: Literal["hashed", "static", "tuned"] = "hashed"
    out: Text
    text: Text = "text"
    positive: Files | None = None
    negative: Files | None = None
    ratings: RatingsSpec | None = None
    group: Text | None = None
    test: TestSpec | None = None
    calibrate: Literal["platt", "isotonic", "off"] = "platt"
    held_out: Annotated[float, Field(ge=0.02, le=0.5)] = 0.2
    seed: int = 0

    ngram: Annotated[int, Field(ge=1, le=16)] | None = None
    bits: Annotated[int, Field(ge=8, le=28)] | None = None
    c: Positive | None = None
    encoder: Text | None = None
    dimension: Count | None = None
    epochs: Count | None = None
    rate: Positive | None = None
    batch_tokens: Count | None = None

    @model_validator(mode="after")
    def _fits(self) -> ClassifierSpec:
        pair = (self.positive is not None) + (self.negative is not None)
        if self.ratings is not None and pair:
            raise ValueError("learn from `ratings`, or from `positive` and `negative`, not from both")
        if self.ratings is None and pair < 2:
            raise ValueError("learn from what? `positive` and `negative`, files of rows, or `ratings`")
        for name in dict.fromkeys(name for names in OWN.values() for name in names):
            if getattr(self, name) is not None and name not in OWN[self.kind]:
                raise ValueError(f"a {self.kind} classifier takes no `{name}`; its own are {', '.join(OWN[self.kind])}")
        if self.kind != "hashed" and self.encoder is None:
            raise ValueError(f"a {self.kind} classifier needs an `encoder`: one of [models], or weights")
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """What the classifier takes, the encoder aside."""
        given = {name: getattr(self, name) for name in OWN[self.kind] if name != "encoder"}
        found = {name: value for name, value in given.items() if value is not None}
        found |= {"calibrate": self.calibrate, "held_out": self.held_out, "seed": self.seed}
        return found | ({"good_from": self.ratings.good_from} if self.ratings is not None else {})
