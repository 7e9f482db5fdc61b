"""The `[phrases]` table: an encoder that is taught the user's phrases.

[phrases]
texts = "notes.jsonl"             # whose phrases are paired; or pairs = "pairs.jsonl" with the columns a and b
encoder = "all-minilm-l6-v2"
out = "phrases"                   # phrases/encoder is a folder that every `encoder = ...` takes
model = "large"                   # writes other words for the most frequent phrases
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, From0, Ref, Spec, Text
from pilotfish.assemble._specs_distill import FitSpec

__all__ = ["PhrasesSpec"]


class PhrasesSpec(Spec):
    """What `pilotfish phrases learn` reads. `without` is rows of pairs to be measured on, which are not learnt from."""

    encoder: Text
    out: Text
    texts: Text | None = None
    text: Text = "text"
    kinds: list[Text] | None = None
    least: Count = 3
    longest: Count = 3
    most: Count | None = None
    language: Text = "english"
    pairs: Text | None = None
    without: Text | None = None
    a: Text = "a"
    b: Text = "b"
    model: Ref | None = None
    ask: Count = 500
    words: Count = 4
    prompt: Text | None = None
    budget: Count | None = None
    concurrency: Count | None = None
    pooling: Literal["choose", "own", "mean", "cls", "max", "first-last", "last-2", "last-4"] = "own"
    types: Text | None = None
    type_weight: From0 = 0.1
    characters: bool = False
    temperature: Above0 = 0.05
    held_out: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    max_length: Count = 512
    fit: FitSpec | None = None

    @model_validator(mode="after")
    def _learns_from_something(self) -> PhrasesSpec:
        if self.texts is None and self.pairs is None:
            raise ValueError("`texts` or `pairs`: what is learnt from")
        if self.texts is None and (self.model is not None or self.kinds is not None):
            raise ValueError("`model` and `kinds` are of the phrases of `texts`")
        if self.prompt is not None and "{phrase}" not in self.prompt:
            raise ValueError("the prompt needs the place {phrase}")
        return self
