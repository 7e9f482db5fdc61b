"""The `[curate]` table: which rows, which steps they sift through, and where they go; paths are the file's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pilotfish.assemble._spec import Count, From0, Share, Spec, Text
from pilotfish.assemble._spec_engine import EngineSpec
from pilotfish.assemble._specs_curate_ablate import AblateSpec
from pilotfish.assemble._specs_curate_clean import CLEAN_STEPS
from pilotfish.assemble._specs_curate_learn import ClassifierSpec
from pilotfish.assemble._specs_curate_mixture import MixtureSpec
from pilotfish.assemble._specs_curate_models import MODEL_STEPS
from pilotfish.assemble.check import checked
from pilotfish.errors import ConfigError, did_you_mean

__all__ = ["STEPS", "CurateSpec", "RulesSpec"]

# A bound; false is none.
Bound = From0 | Literal[False]
Whole = Annotated[int, Field(ge=0)] | Literal[False]


class GopherRepetitionSpec(Spec):
    """`gopher_repetition = { max_duplicate_lines = 0.3 }`; `max_top` and `max_duplicate` go by n."""

    max_duplicate_lines: Bound = 0.30
    max_duplicate_paragraphs: Bound = 0.30
    max_duplicate_line_characters: Bound = 0.20
    max_duplicate_paragraph_characters: Bound = 0.20
    max_top: dict[str, Share] | None = None
    max_duplicate: dict[str, Share] | None = None

    @field_validator("max_top", "max_duplicate")
    @classmethod
    def _lengths(cls, given: dict[str, float] | None) -> dict[str, float] | None:
        for n in given or ():
            if not n.isdecimal() or not 1 <= int(n) <= 64:
                raise ValueError(f"an n-gram has 1 to 64 words, not {n!r}")
        return given


class GopherQualitySpec(Spec):
    """`gopher_quality = { min_words = 30, stop_words = ["der", "die", "und"] }`."""

    min_words: Whole = 50
    max_words: Whole = 100_000
    min_mean_word_length: Bound = 3
    max_mean_word_length: Bound = 10
    max_hash_ratio: Bound = 0.1
    max_ellipsis_ratio: Bound = 0.1
    max_bullet_lines: Bound = 0.9
    max_ellipsis_lines: Bound = 0.3
    min_alphabetic_words: Bound = 0.8
    min_stop_words: Whole = 2
    stop_words: Annotated[list[Text], Field(min_length=1)] | None = None


class C4Spec(Spec):
    """`c4 = { punctuated = false }`; `bad_words` is a file of one word or phrase a line."""

    punctuated: bool = True
    min_line_words: Whole = 3
    max_word_length: Whole = 1000
    min_sentences: Whole = 5
    javascript: bool = True
    policies: bool = True
    citations: bool = True
    lorem_ipsum: bool = True
    curly: bool = True
    bad_words: Text | None = None


class FineWebSpec(Spec):
    """`fineweb = { max_short_lines = 0.8 }`."""

    min_punctuated_lines: Bound = 0.12
    max_short_lines: Bound = 0.67
    short_line: Count = 30
    max_duplicate_line_characters: Bound = 0.1
    max_newlines_a_word: Bound = False


RuleName = Literal["gopher_repetition", "gopher_quality", "c4", "fineweb"]


class RulesSpec(Spec):
    """`do = "rules"`: document rules, in the order in which `rules` names them; each with its paper's bounds.

    `c4` changes texts, so it is asked for by name.
    """

    do: Literal["rules"]
    rules: Annotated[list[RuleName], Field(min_length=1)] = ["gopher_repetition", "gopher_quality", "fineweb"]
    gopher_repetition: GopherRepetitionSpec = GopherRepetitionSpec()
    gopher_quality: GopherQualitySpec = GopherQualitySpec()
    c4: C4Spec = C4Spec()
    fineweb: FineWebSpec = FineWebSpec()

    @model_validator(mode="after")
    def _looked_at(self) -> RulesSpec:
        for name in ("gopher_repetition", "gopher_quality", "c4", "fineweb"):
            if name in self.model_fields_set and name not in self.rules:
                raise ValueError(f"`{name}` is not among `rules`: nothing would look at its settings")
        if len(set(self.rules)) < len(self.rules):
            raise ValueError("`rules` names one twice")
        return self


Alpha = Annotated[float, Field(gt=0, le=1000)]
Part = Annotated[float, Field(gt=0, le=1)]


class QualitySpec(Spec):
    """`do = "quality"`: by a classifier: one of `[curate.classifiers]`, or the folder of a saved one.

    One of `threshold`, `share` (the best share of all rows, in two passes) and `pareto` says what is kept; without any
    of them rows are scored, and all are kept.
    """

    do: Literal["quality"]
    classifier: Text
    into: Text = "score"
    threshold: Share | None = None
    share: Part | None = None
    pareto: Alpha | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _one_way(self) -> QualitySpec:
        given = [name for name in ("threshold", "share", "pareto") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are two ways to keep rows: give one")
        if "seed" in self.model_fields_set and self.pareto is None:
            raise ValueError("`seed` is of the draw, `pareto`: nothing else would look at it")
        return self


class DedupeSpec(Spec):
    """`do = "dedupe"`: the first row of each group of near-duplicates is kept; in two passes."""

    do: Literal["dedupe"]
    threshold: Part = 0.8
    ngram: Annotated[int, Field(ge=1, le=16)] = 3
    unit: Literal["char", "word"] = "char"
    method: Literal["auto", "exact", "minhash"] = "auto"
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _seeded(self) -> DedupeSpec:
        if "seed" in self.model_fields_set and self.method == "exact":
            raise ValueError("`seed` is of minhash: the exact method has none")
        return self


class DecontaminateSpec(Spec):
    """`do = "decontaminate"`: `tests = { gsm8k = "gsm8k.jsonl" }`; false for `ngram` or `threshold` leaves that out."""

    do: Literal["decontaminate"]
    tests: Annotated[dict[str, Text], Field(min_length=1)]
    test_text: Text | None = None
    ngram: Annotated[int, Field(ge=1, le=64)] | Literal[False] = 13
    shortest: Count = 8
    threshold: Part | Literal[False] = 0.8

    @model_validator(mode="after")
    def _something(self) -> DecontaminateSpec:
        if self.ngram is False and self.threshold is False:
            raise ValueError("nothing to look for: neither `ngram` nor `threshold`")
        if self.ngram is False and "shortest" in self.model_fields_set:
            raise ValueError("`shortest` is about n-grams, which are not looked for")
        return self


# What a step may do.
STEPS: dict[str, type[Spec]] = {
    "rules": RulesSpec,
    "quality": QualitySpec,
    "dedupe": DedupeSpec,
    "decontaminate": DecontaminateSpec,
    **CLEAN_STEPS,
    **MODEL_STEPS,
}


class CurateSpec(EngineSpec):
    """The `[curate]` table."""

    source: Text | None = Field(default=None, alias="in")
    out: Text | None = None
    text: Text = "text"
    format: Text | None = None
    encoding: Text | None = None
    shard_rows: Count = 10_000
    steps: list[Any] = []
    classifiers: dict[str, ClassifierSpec] = {}
    ablate: AblateSpec | None = None
    mixture: MixtureSpec | None = None

    @field_validator("steps")
    @classmethod
    def _each(cls, given: list[Any]) -> list[Any]:
        return [_step(number, table) for number, table in enumerate(given, 1)]


def _step(number: int, table: Any) -> Spec:
    if isinstance(table, Spec):
        return table
    if not isinstance(table, dict) or not isinstance(table.get("do"), str):
        raise ValueError(f"step {number} needs `do`: what it does, one of {', '.join(STEPS)}")
    do = table["do"]
    if do not in STEPS:
        raise ValueError(f"step {number}: unknown do {do!r}{did_you_mean(do, STEPS)}")
    try:
        return checked(STEPS[do], table, f"step {number} ({do})")
    except ConfigError as error:
        raise ValueError(str(error)) from None
