"""The `[supervise]` table: who labels which rows, what is made of the labels, and which model learns them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, From0, Ref, Share, Spec, Text
from pilotfish.assemble._specs_distill import FitSpec

__all__ = [
    "CorrectorSpec",
    "CritiquesSpec",
    "LabelModelSpec",
    "LearnsSpec",
    "RewardLearnSpec",
    "SourceSpec",
    "StrongSpec",
    "SuperviseSpec",
]

Words = dict[str, list[Text]]
_KINDS = ("keywords", "patterns", "column", "model", "learns")
# Keys that only some kinds look at.
_OF = {
    "case": ("keywords",),
    "labels": ("column", "model"),
    "classes": ("model", "learns"),
    "topics": ("learns",),
    "columns": ("model",),
    "prompt": ("model",),
}


class LearnsSpec(Spec):
    """`learns = { features = "tf-idf", columns = ["title"] }`: a classifier that the rows of `gold` teach.

    `features` are "tf-idf", or an encoder's, of the file or by its weights; with `static` its words' own vectors; or
    "trees" over `columns` of numbers and words.
    """

    features: Text = "tf-idf"
    static: bool = False
    columns: Annotated[list[Text], Field(min_length=1)] | None = None
    c: Above0 = 10.0

    @model_validator(mode="after")
    def _of_encoder(self) -> LearnsSpec:
        if self.static and self.features == "tf-idf":
            raise ValueError("`static` vectors are an encoder's: name it in `features`")
        if self.features == "trees":
            if self.columns is None:
                raise ValueError("trees go by `columns`: name them")
            if self.static or "c" in self.model_fields_set:
                raise ValueError("`static` and `c` are of features of texts: trees have neither")
        return self


class TopicsSpec(Spec):
    """`topics = { encoder = "all-minilm-l6-v2", count = 4 }`: a specialist for each topic of the rows."""

    encoder: Text
    count: Annotated[int, Field(ge=2)]
    seed: int = 0


class SourceSpec(Spec):
    """A `[[supervise.sources]]`: keywords, patterns, a column, a model of the file, or what gold rows teach."""

    name: Text | None = None
    keywords: Words | None = None
    patterns: dict[str, Text | list[Text]] | None = None
    column: Text | None = None
    model: Ref | None = None
    learns: LearnsSpec | None = None
    case: bool | None = None
    labels: dict[str, str] | None = None
    classes: Annotated[list[str], Field(min_length=1)] | None = None
    where: dict[str, Any] | None = None
    matches: Text | None = None
    topics: TopicsSpec | None = None
    columns: Annotated[list[Text], Field(min_length=1)] | None = None
    prompt: Text | None = None
    least: Share = 0.0

    @property
    def kind(self) -> str:
        """Which of the kinds it is."""
        return next(kind for kind in _KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _one_kind(self) -> SourceSpec:
        given = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"a source is one of {', '.join(_KINDS)}; {' and '.join(given) or 'none'} is given")
        for key, kinds in _OF.items():
            if getattr(self, key) is not None and given[0] not in kinds:
                raise ValueError(f"`{key}` is of {' and '.join(kinds)}: of {given[0]} nothing would look at it")
        if sum(getattr(self, key) is not None for key in ("where", "matches", "topics")) > 1:
            raise ValueError("a source is for the rows of `where`, of `matches` or of `topics`: give one")
        return self


class LabelModelSpec(Spec):
    """`[supervise.labels]`: the label model, with its own settings; `encoder` gives co-supervision its vectors."""

    use: Text = "majority"
    encoder: Text | None = None
    hard: bool = False
    settings: dict[str, Any] = {}


class ProbeSpec(Spec):
    """`[supervise.strong.probe]`; see `pilotfish.supervise.strong.probe.Probe`."""

    epochs: Count = 40
    rows: Count = 256
    rate: Above0 = 0.01
    decays: Annotated[list[From0], Field(min_length=1)] = [1e-4, 1e-3, 1e-2, 1e-1]
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.2


class StrongSpec(Spec):
    """`[supervise.strong]`: the model that learns; a probe, or with `fit` tuned: by adapters with a `rank`.

    With `fit` and `probe` tuning starts from the probe's head.
    """

    weights: Text
    through: list[Text] = []
    pooling: Literal["mean", "last"] | None = None
    max_length: Count = 512
    probe: ProbeSpec | None = None
    fit: FitSpec | None = None
    head_rate: Above0 | None = None
    held_out: Annotated[float, Field(gt=0, lt=1)] | None = None
    confidence: Share = 0.0
    warmup: Share = 0.2
    balance: Literal["pass", "rows"] | dict[str, Share] = "pass"
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    forget: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _fits(self) -> StrongSpec:
        if self.fit is None and self.head_rate is not None:
            raise ValueError("`head_rate` is of `fit`: a probe has no other rate")
        if self.held_out is not None and (self.fit is None or self.fit.patience is None):
            raise ValueError("`held_out` is of `fit` with patience: nothing else would look at it")
        if self.fit is not None and "seed" in self.fit.model_fields_set:
            raise ValueError("`seeds` of [supervise] are the trainings': `seed` of `fit` would not be looked at")
        return self


class RewardLearnSpec(Spec):
    """`[supervise.reward]`: a small reward model from rows of a prompt, the better answer and the other one."""

    rows: Text
    weights: Text
    out: Text
    prompt: Text = "prompt"
    chosen: Text = "chosen"
    rejected: Text = "rejected"
    margin: Text | None = None
    pooling: Literal["mean", "last"] | None = None
    max_length: Count = 512
    fit: FitSpec | None = None
    centre: From0 = 0.01
    head_rate: Above0 = 30.0
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1


class CorrectorSpec(Spec):
    """`[supervise.corrector]`: a small model that mends answers, from rows of a question, an answer, its correction.

    `answer` may hold a list of answers. With a `model` its answers, `draws` each, stand in the place of that column.
    """

    rows: Text
    weights: Text
    out: Text
    question: Text = "question"
    answer: Text = "answer"
    correction: Text = "correction"
    model: Ref | None = None
    draws: Count = 1
    temperature: Above0 = 0.7
    max_tokens: Count = 512
    concurrency: Count | None = None
    copied: From0 = 0.2
    template: Text | None = None
    length: Count = 512
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    fit: FitSpec = FitSpec()


class CritiquesSpec(Spec):
    """`[supervise.critiques]`: a model says what is wrong with answers, and corrects them; a judge may take part."""

    rows: Text
    model: Ref
    out: Text
    reviser: Ref | None = None
    judge: Ref | None = None
    question: Text = "question"
    answer: Text = "answer"
    principles: list[Text] = []
    critique: Text | None = None
    revise: Text | None = None
    margin: From0 = 0.0
    temperature: From0 = 0.0
    max_tokens: Count = 512
    seed: int = 0
    concurrency: Count | None = None


class SuperviseSpec(Spec):
    """The `[supervise]` table; paths are from the file's."""

    rows: Text | None = None
    out: Text | None = None
    text: Text = "text"
    label: Text | None = None
    classes: Annotated[list[str], Field(min_length=2)] | None = None
    gold: Text | None = None
    test: Text | None = None
    format: Text | None = None
    encoding: Text | None = None
    seeds: Annotated[list[int], Field(min_length=1)] = [0, 1, 2, 3, 4]
    ceiling: bool = True
    sources: list[SourceSpec] = []
    labels: LabelModelSpec = LabelModelSpec()
    strong: StrongSpec | None = None
    reward: RewardLearnSpec | None = None
    corrector: CorrectorSpec | None = None
    critiques: CritiquesSpec | None = None

    @model_validator(mode="after")
    def _labelled(self) -> SuperviseSpec:
        for name in ("gold", "test"):
            if getattr(self, name) is not None and self.label is None:
                raise ValueError(f"`{name}` needs `label`: the column of people's labels")
        if any(one.kind == "learns" for one in self.sources) and self.gold is None:
            raise ValueError("a source that `learns` needs `gold`: a file of rows with people's labels")
        return self
