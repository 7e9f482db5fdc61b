"""The table of models that link a text's mentions to the entities of a knowledge base."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pilotfish.assemble._spec import Count, Ref, Share, Spec, Text

__all__ = ["LinkedSpec"]


class LinkedSpec(Spec):
    """Mentions linked to `entities`, a folder that `pilotfish entities build` wrote.

    `linker` is what `pilotfish entities learn` wrote. Decisions less easy than `above` are left to `large`, which sees
    `shown` candidates and answers with a letter.
    """

    use: Literal["linked"]
    entities: Text
    linker: Text | None = None
    ways: list[str] | None = None
    reader: Text | None = None
    large: Ref | None = None
    above: Share = 0.8
    shown: Annotated[int, Field(ge=1, le=25)] = 5
    prompt: Text | None = None
    concurrency: Count = 8
