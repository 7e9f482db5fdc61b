"""The steps of a curation that clean rows: their language, what is personal in them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pilotfish.assemble._spec import Count, Spec, Text

__all__ = ["CLEAN_STEPS", "KenLMSpec", "LanguageSpec", "RedactSpec", "SemanticSpec", "SubstringsSpec"]

Bound = Annotated[float, Field(gt=0)]
Kind = Literal["key", "email", "iban", "card", "ip", "phone"]
Share = Annotated[float, Field(gt=0, le=1)]


class LanguageSpec(Spec):
    """`do = "language"`: notes each text's language; `keep = ["en"]` drops the others, `least` what is unsure."""

    do: Literal["language"]
    keep: Annotated[list[Text], Field(min_length=1)] | None = None
    least: Share | None = None
    among: Annotated[list[Text], Field(min_length=2)] | None = None
    into: Text = "language"
    characters: Count = 2000


class RedactSpec(Spec):
    """`do = "redact"`: puts a mark in place of e-mail addresses, telephone numbers, keys and the like."""

    do: Literal["redact"]
    kinds: Annotated[list[Kind], Field(min_length=1)] | None = None
    marks: dict[Kind, str] | None = None
    into: Text = "redacted"
    most: Annotated[int, Field(ge=0)] | None = None


class SubstringsSpec(Spec):
    """`do = "substrings"`: cuts out passages of `words` words or more that stand in earlier rows; in two passes."""

    do: Literal["substrings"]
    words: Annotated[int, Field(ge=2)] = 50
    keep: Literal["first", "none"] = "first"
    drop: Share | None = None
    shortest: Annotated[int, Field(ge=0)] = 1
    into: Text = "substrings"


class SemanticSpec(Spec):
    """`do = "semantic"`: drops rows that say the same in other words; `encoder` is one of the file, or weights."""

    do: Literal["semantic"]
    encoder: Text
    threshold: Share = 0.95
    keep: Literal["far", "near"] = "far"
    clusters: Count | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    columns: Annotated[list[Text], Field(min_length=1)] | None = None


class KenLMSpec(Spec):
    """`do = "kenlm"`: perplexity by n-gram models; `models` is a file, or a table of one for each language of `by`."""

    do: Literal["kenlm"]
    models: Text | Annotated[dict[str, Text], Field(min_length=1)]
    pieces: Text | Annotated[dict[str, Text], Field(min_length=1)] | None = None
    by: Text | None = None
    form: Literal["ccnet", "none"] = "ccnet"
    into: Text = "perplexity"
    least: Bound | None = None
    most: Bound | None = None


CLEAN_STEPS: dict[str, type[Spec]] = {
    "language": LanguageSpec,
    "redact": RedactSpec,
    "substrings": SubstringsSpec,
    "semantic": SemanticSpec,
    "kenlm": KenLMSpec,
}
