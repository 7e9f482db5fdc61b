"""The table of models whose prompts are compressed, and the `[compress]` table: a token classifier that is taught.

[models.short]
use = "compressed"
model = "large"
by = "perplexity"
budget = 1000

[compress]
rows = "shortened.jsonl"          # text, compressed
encoder = "all-minilm-l6-v2"
out = "keeps"
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, From0, Ref, Share, Spec, Text
from pilotfish.assemble._specs_check import Ways, fits
from pilotfish.assemble._specs_distill import FitSpec

__all__ = ["CompressSpec", "CompressedSpec", "CompressorSpec"]

_READS = ("weights", "segment", "again", "one_pass", "context", "dtype", "device")
_ROUGH = ("rank", "encoder", "factor", "spread", "areas")
# What each way takes.
WAYS: Ways = {
    "perplexity": ((), (*_READS, *_ROUGH)),
    "question": ((), (*_READS, *_ROUGH, "plain", "relevance")),
    "tokens": (("weights",), ("weights", "dtype", "device", *_ROUGH, "relevance")),
    "sentences": ((), ("rank", "encoder", "near", "dtype", "device")),
}
_OWN = {"by", "budget", "rate", "protect", "patterns", "protect_kept", "count", "language"}

Rate = Annotated[float, Field(gt=0, le=1)]
Kind = Literal["numbers", "code", "json", "quotes", "names"]


class CompressorSpec(Spec):
    """How texts are made shorter: `by` scores their units; `rank` chooses sentences or paragraphs roughly first.

    `weights` are a small language model's, or of `by = "tokens"` the folder of a taught classifier; `encoder` is of
    `rank = "vectors"`. Budgets are counted by `count`: weights whose tokenizer is the target's, "words" or
    "characters"; by the target's own where it is a local model.
    """

    by: Literal["perplexity", "question", "tokens", "sentences"]
    weights: Text | None = None
    segment: Annotated[int, Field(ge=8)] | None = None
    again: bool | None = None
    one_pass: bool | None = None
    context: Annotated[int, Field(ge=16)] | None = None
    plain: From0 | None = None
    relevance: From0 | None = None
    dtype: Literal["auto", "bfloat16", "float16", "float32"] | None = None
    device: Text | None = None
    rank: Literal["words", "vectors", "both", "question", "perplexity"] | None = None
    encoder: Text | None = None
    factor: Annotated[float, Field(ge=1)] | None = None
    spread: Share | None = None
    areas: Literal["sentences", "paragraphs"] | None = None
    near: Share | None = None
    protect: list[Kind] = ["numbers", "code", "json", "quotes", "names"]
    patterns: list[Text] = []
    protect_kept: Literal["with-sentence", "always", "whole"] = "with-sentence"
    count: Text | None = None
    language: Text = "en"

    @model_validator(mode="after")
    def _fits(self) -> CompressorSpec:
        given: dict[str, Any] = {
            name: getattr(self, name)
            for name in CompressorSpec.model_fields
            if name not in _OWN and getattr(self, name) is not None
        }
        fits("compressing", self.by, WAYS, given)
        if self.one_pass and (self.segment is not None or self.again is not None):
            raise ValueError("one pass has no segments: give `one_pass` or `segment` and `again`")
        if self.encoder is not None and self.rank not in ("vectors", "both"):
            raise ValueError('an `encoder` is of `rank = "vectors"` or "both"')
        if self.by == "sentences" and self.rank == "perplexity":
            raise ValueError("sentences are ranked by words, vectors, both or question")
        if self.rank is None and self.by != "sentences" and (self.factor or self.spread or self.areas):
            raise ValueError("`factor`, `spread` and `areas` are of a rough choice: give `rank`")
        return self


class CompressedSpec(CompressorSpec):
    """`model` answers prompts that have been made shorter; see `pilotfish.prompt.compress.Compressing`."""

    use: Literal["compressed"]
    model: Ref
    budget: Count | None = None
    rate: Rate | None = None
    parts: Annotated[list[Literal["system", "history", "tools", "context", "question"]], Field(min_length=1)] = [
        "history",
        "tools",
        "context",
    ]
    above: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _one(self) -> CompressedSpec:
        if (self.budget is None) == (self.rate is None):
            raise ValueError("give a `budget` in tokens or a `rate`")
        return self


class CompressSpec(Spec):
    """What `pilotfish compress train` reads: texts, what is left of them, and for which question."""

    rows: Text
    encoder: Text
    out: Text
    text: Text = "text"
    compressed: Text = "compressed"
    question: Text | None = None
    length: Annotated[int, Field(ge=16)] | None = None
    variation: Annotated[float, Field(ge=0, lt=1)] = 0.05
    gap: Annotated[float, Field(ge=0, lt=1)] = 0.1
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.1
    head_rate: Above0 = 20.0
    fit: FitSpec | None = None
