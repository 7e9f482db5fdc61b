"""The tables of `[synthesize]` for rows that are varied: one a recipe of `pilotfish.synthesize.augment`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Count, Ref, Share, Spec, Text
from pilotfish.assemble._specs_scratch import AskingSpec, Listed, Values

__all__ = [
    "AUGMENT",
    "UNASKED",
    "BacktranslatedSpec",
    "ConfirmSpec",
    "DriftSpec",
    "FlippedSpec",
    "MixedSpec",
    "NoisedSpec",
    "ParaphrasedSpec",
    "RestyledSpec",
    "SlottedSpec",
    "VariedSpec",
]

Probability = Annotated[float, Field(gt=0, lt=1)]
# The recipes' tables, by name; and those of them that need no model.
AUGMENT = ("paraphrased", "restyled", "backtranslated", "flipped", "mixed", "noised", "slotted")
UNASKED = ("noised", "slotted")


class DriftSpec(Spec):
    """`drift = { least = 0.1, most = 0.9 }`: how near a child is to its parent; what is not given is the recipe's own.

    The n-grams' Jaccard similarity, and with an `encoder` the vectors' least `cosine`.
    """

    least: Share | None = None
    most: Share | None = None
    ngram: Count | None = None
    unit: Literal["char", "word"] | None = None
    encoder: Ref | None = None
    cosine: Share | None = None

    @model_validator(mode="after")
    def _measured(self) -> DriftSpec:
        if self.cosine is not None and self.encoder is None:
            raise ValueError("a `cosine` is of vectors: name an `encoder`")
        return self


class ConfirmSpec(Spec):
    """`confirm = { model = "small" }`: who reads a child's label.

    Without a model a linear classifier that the parents teach, on `features`: "tf-idf", or an encoder of the file or by
    its weights.
    """

    model: Ref | None = None
    features: Text | None = None
    least: Probability | None = None

    @model_validator(mode="after")
    def _one(self) -> ConfirmSpec:
        if self.model is not None and self.features is not None:
            raise ValueError("confirm by a `model`, or by one that is taught on `features`: give one")
        return self


class PoolSpec(Spec):
    """What all of them have: the file of the parents, and children a parent."""

    rows: Text
    each: Count = 1
    group: Text = "parent"
    drift: DriftSpec | None = None


class VariedSpec(PoolSpec):
    """And what those have that vary one column of rows with a label; `confirm = false` takes labels as they are."""

    text: Text = "text"
    label: Text | None = None
    confirm: ConfirmSpec | Literal[False] | None = None

    @model_validator(mode="after")
    def _labelled(self) -> VariedSpec:
        if self.confirm and self.label is None:
            raise ValueError("`confirm` reads labels: name the column, `label`")
        return self


class ParaphrasedSpec(VariedSpec, AskingSpec):
    """`[synthesize.paraphrased]`: rows in other words."""

    ways: (
        Annotated[
            list[Literal["words", "order", "shorter", "longer", "formal", "casual"]],
            Field(min_length=1),
        ]
        | None
    ) = None


class RestyledSpec(VariedSpec, AskingSpec):
    """`[synthesize.restyled]`: rows in styles, named ones or in words."""

    styles: Values


class BacktranslatedSpec(VariedSpec, AskingSpec):
    """`[synthesize.backtranslated]`: rows through other languages and back."""

    through: Values | None = None
    language: Text | None = None


class FlippedSpec(VariedSpec, AskingSpec):
    """`[synthesize.flipped]`: rows edited until they have another label."""

    label: Text
    labels: Annotated[list[Text], Field(min_length=2)] | dict[str, str] | None = None
    to: dict[str, Values] | None = None
    edited: Share | None = None


class MixedSpec(PoolSpec, AskingSpec):
    """`[synthesize.mixed]`: instructions joined by twos."""

    pool: Annotated[int, Field(ge=2)] | None = None


class NoisedSpec(VariedSpec):
    """`[synthesize.noised]`: rows with people's mistakes; no model is asked."""

    kinds: Values | None = None
    rate: Share | None = None
    protect: list[Text] | None = None


class SlottedSpec(VariedSpec):
    """`[synthesize.slotted]`: rows with other values in their slots; no model is asked."""

    lists: dict[str, Listed] | None = None
    columns: list[Text] | None = None
