"""The table of draft and verify."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pilotfish.assemble._spec import Count, Ref, Spec


class LayersSpec(Spec):
    """The target's own first layers."""

    layers: Count


class SpeculativeSpec(Spec):
    """A model that drafts cheaply and answers as its target does: `draft = "prompt-lookup"`, a model, or layers."""

    use: Literal["speculative"]
    target: Ref
    draft: Literal["prompt-lookup"] | LayersSpec | Ref = "prompt-lookup"
    length: Literal["auto"] | Count = "auto"
    tree: Count | Annotated[list[Count], Field(min_length=1)] | None = None
    max_ngram: Count = 3
    max_tokens: Count = 256
    max_rows: Count = 32
