"""The tables of repair by plug-ins: a model with some behind it, and what teaches one.

[models.safe]
use = "repaired"
model = "large"
plugins = [
    { use = "calculation", follows = true },
    { use = "unsupported", path = "detector", way = "mark", after = " [?]" },
]
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, Ref, Share, Spec, Text
from pilotfish.assemble._specs_check import Ways, fits
from pilotfish.assemble._specs_distill import FitSpec
from pilotfish.errors import did_you_mean

__all__ = ["GROUP", "PLUGINS", "RepairPluginSpec", "RepairSpec", "RepairedSpec"]

# Entry points of other packages' plug-ins: `build(name, settings, part)` gives one.
GROUP = "pilotfish.repair"
PLUGINS: Ways = {
    "calculation": ((), ("follows",)),
    "repetition": ((), ("times", "longest", "sentences", "words")),
    "personal": ((), ("kinds", "told")),
    "toxic": ((), ("classifier", "labels", "above", "words", "words_file")),
    "json": ((), ("schema_file", "always", "longest")),
    "unsupported": (("path",), ("above", "alone")),
    "function": (("function",), ("entire",)),
}
WAYS: Ways = {
    "remove": ((), ()),
    "remove-span": ((), ()),
    "mark": ((), ("before", "after")),
    "replace": ((), ("text",)),
    "rewrite": (("writer",), ("prompt", "max_tokens")),
    "abstain": ((), ("text", "sure")),
}
_ANY = ("use", "name", "touch", "way")
Positive = Annotated[float, Field(gt=0, le=1)]


class RepairPluginSpec(Spec):
    """One plug-in of a `repaired` model: its kind by `use`, and the `way` in which it mends.

    One that another package brings takes what it takes in `settings`.
    """

    use: Text
    name: Text | None = None
    touch: list[Literal["numbers", "code"]] | None = None
    way: Literal["remove", "remove-span", "mark", "replace", "rewrite", "abstain"] | None = None
    before: str | None = None
    after: str | None = None
    text: Text | None = None
    writer: Ref | None = None
    prompt: Text | None = None
    max_tokens: Count | None = None
    sure: Share | None = None
    follows: bool | None = None
    times: Count | None = None
    longest: Count | None = None
    sentences: Count | None = None
    words: Count | Annotated[list[Text], Field(min_length=1)] | None = None
    words_file: Text | None = None
    kinds: Annotated[list[Text], Field(min_length=1)] | None = None
    told: bool | None = None
    classifier: Text | None = None
    labels: Annotated[list[Text], Field(min_length=1)] | None = None
    above: Positive | None = None
    schema_file: Text | None = None
    always: bool | None = None
    path: Text | None = None
    alone: bool | None = None
    function: Text | None = None
    entire: bool | None = None
    settings: dict[str, object] | None = None

    @model_validator(mode="after")
    def _fits(self) -> RepairPluginSpec:
        given = self.model_dump(exclude=set(_ANY), exclude_none=True)
        if self.use not in PLUGINS:
            from pilotfish.assemble.plugins import plugins

            known = [*PLUGINS, *plugins(GROUP)]
            if self.use not in known:
                raise ValueError(f"unknown plug-in {self.use!r}{did_you_mean(self.use, known)}")
            if given.keys() - {"settings"}:
                raise ValueError(f"the plug-in {self.use} is another package's: what it takes stands in `settings`")
            return self
        if self.use == "json" and self.way is not None:
            raise ValueError("the plug-in json mends in a way of its own: leave `way` out")
        must, may = PLUGINS[self.use]
        way_must, way_may = WAYS[self.way] if self.way is not None else ((), ())
        both: Ways = {self.use: ((*must, *way_must), (*may, *way_may))}
        fits("a plug-in", self.use, both, given)
        if self.use == "repetition" and isinstance(self.words, list):
            raise ValueError("`words` of repetition is how many a sentence needs, a number")
        if self.use == "toxic" and isinstance(self.words, int):
            raise ValueError("`words` of toxic is a list of them")
        return self

    def own(self) -> dict[str, Any]:
        """Return what was given of the kind's own settings."""
        names = {*PLUGINS[self.use][0], *PLUGINS[self.use][1]}
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class RepairedSpec(Spec):
    """`model` answers, and `plugins` mend its answers in their order; see `pilotfish.repair.Repaired`."""

    use: Literal["repaired"]
    model: Ref
    plugins: Annotated[list[RepairPluginSpec], Field(min_length=1)]
    evidence: Literal["told", "prompt", "system"] | Annotated[list[Text], Field(min_length=2, max_length=2)] = "told"
    language: Text = "en"
    most: Annotated[int, Field(ge=100)] = 2000


# What a plug-in of each kind learns from.
_SPANS = ("context", "question", "labels", "faulty", "document", "kinds", "length", "windows", "tune", "made", "fit")
_SENTENCES = ("text", "label")


class RepairSpec(Spec):
    """The `[repair]` table, which `pilotfish repair train` reads: what teaches a plug-in.

    Of kind "spans" rows have an `answer`, a `context` ("" for answers without evidence), and where the answer is faulty
    (`labels`) or whether it is (`faulty`). Of kind "sentences" they have a `text` and its `label`. `encoder` is one of
    the file or weights; sentences may go by "tf-idf".
    """

    rows: Text
    out: Text
    encoder: Text
    kind: Literal["spans", "sentences"] = "spans"
    answer: Text = "answer"
    context: str = "context"
    question: Text = "question"
    labels: Text = "labels"
    faulty: Text = "faulty"
    document: Text | None = None
    kinds: Annotated[list[Text], Field(min_length=1)] | None = None
    text: Text = "text"
    label: Text = "label"
    length: Annotated[int, Field(ge=16)] = 256
    windows: Count = 2
    head_rate: Above0 = 30.0
    tune: Annotated[float, Field(gt=0, lt=1)] = 0.15
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    made: Annotated[int, Field(ge=0)] = 0
    seed: int = 0
    fit: FitSpec | None = None

    @model_validator(mode="after")
    def _of_its_kind(self) -> RepairSpec:
        others = _SENTENCES if self.kind == "spans" else (*_SPANS, "answer", "head_rate")
        for name in others:
            if name in self.model_fields_set:
                raise ValueError(f"`{name}` is not of kind {self.kind!r}")
        if self.kind == "spans" and self.encoder == "tf-idf":
            raise ValueError("spans are read by an encoder: name one")
        return self
