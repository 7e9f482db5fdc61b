"""The `[classify]` table: what a small classifier learns from, and of which kind it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, Spec, Text
from pilotfish.assemble._specs_distill import FitSpec

__all__ = ["BagSpec", "ClassifySpec"]

WITHOUT_TRAINING = ("tfidf", "encoder", "static")


class BagSpec(Spec):
    """`[classify.bag]`; see `pilotfish.models.classify.bag`."""

    dimension: Count = 64
    ngram: Annotated[int, Field(ge=1, le=16)] = 2
    characters: Annotated[list[Annotated[int, Field(ge=0, le=16)]], Field(min_length=2, max_length=2)] = [3, 5]
    bits: Annotated[int, Field(ge=8, le=28)] = 21
    epochs: Count | None = None
    rate: Above0 = 0.5


class ClassifySpec(Spec):
    """`[classify]`: what the flags of `pilotfish classify learn` say, in a file. Paths are relative to the file.

    `encoder` is a model of the file by its name, or weights. With `several` a row's label is a list, a JSON list, or a
    text with a `separator`. `out_of_scope` names how texts of no class are told, `recall` the share of texts of the
    classes to keep, `outside` a file of texts of no class to measure that by.
    """

    rows: Text
    text: Text = "text"
    label: Text = "label"
    kind: Literal["tfidf", "encoder", "static", "bag", "contrastive", "tuned", "lora"] = "bag"
    encoder: Text | None = None
    out: Text = "classifier"
    test: Text | None = None
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    several: bool = False
    separator: Text | None = None
    out_of_scope: Literal["probability", "energy", "mahalanobis", "neighbours"] | None = None
    recall: Annotated[float, Field(gt=0, lt=1)] = 0.95
    outside: Text | None = None
    device: str = "auto"
    format: str | None = None
    encoding: str | None = None
    strict: bool = False
    seed: int = 0
    pairs: Count | None = None
    fit: FitSpec | None = None
    bag: BagSpec | None = None

    @model_validator(mode="after")
    def _fits(self) -> ClassifySpec:
        if self.encoder is None and self.kind not in ("tfidf", "bag"):
            raise ValueError(f"a classifier of the kind {self.kind} needs an `encoder`: one of [models], or weights")
        if self.bag is not None and self.kind != "bag":
            raise ValueError(f"[classify.bag] is of the kind bag, not {self.kind}")
        if self.fit is not None and self.kind in (*WITHOUT_TRAINING, "bag"):
            raise ValueError(f"[classify.fit] is of the kinds contrastive, tuned and lora, not {self.kind}")
        if self.pairs is not None and self.kind != "contrastive":
            raise ValueError(f"`pairs` are of the kind contrastive, not {self.kind}")
        if self.separator is not None and not self.several:
            raise ValueError("a `separator` parts several labels: set `several = true`")
        if self.several and self.out_of_scope is not None:
            raise ValueError("a text of which no label of several is said is out of scope as it is: no `out_of_scope`")
        if self.several and self.kind in ("bag", "contrastive"):
            raise ValueError(f"a classifier of the kind {self.kind} gives one label; several: tfidf, encoder, static, "
                             "tuned, lora")  # fmt: skip
        if self.outside is not None and self.out_of_scope is None:
            raise ValueError("`outside` measures `out_of_scope`, which is not set")
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """What the training takes, as far as it is given."""
        given: FitSpec | BagSpec | None = self.bag if self.kind == "bag" else self.fit
        found = {} if given is None else given.model_dump(exclude_unset=True)
        if self.pairs is not None:
            found["pairs"] = self.pairs
        if "characters" in found:
            found["characters"] = tuple(found["characters"])
        return found
