"""From a table of `_specs_speculative` to its model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotfish.assemble._specs_speculative import LayersSpec, SpeculativeSpec


def build_speculative(name: str, spec: SpeculativeSpec, part: Callable[[str], Any]) -> Any:
    """Return the model that a table describes.

    Raises:
        ConfigError: target or draft is a black box, or settings do not go together.
    """
    from pilotfish.infer.speculative import Layers, SpeculativeModel

    draft: Any = spec.draft
    if isinstance(draft, LayersSpec):
        draft = Layers(draft.layers)
    elif draft != "prompt-lookup":
        draft = part(draft)
    settings = spec.model_dump(include={"length", "tree", "max_ngram", "max_tokens", "max_rows"})
    return SpeculativeModel(part(spec.target), draft, **settings, name=name)
