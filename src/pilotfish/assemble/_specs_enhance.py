"""The tables of models that small ones write words around: demonstrations, instructions, sub-questions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, From0, Ref, Share, Spec, Text
from pilotfish.assemble._specs_check import Ways, fits
from pilotfish.assemble._specs_distill import FitSpec

__all__ = [
    "ENHANCE",
    "ChooseSpec",
    "DecomposedSpec",
    "DemonstratedSpec",
    "InstructedSpec",
    "PromptsSpec",
    "SuperICLSpec",
]

# How demonstrations are found, and the settings that are each way's own; those before the bar must be given.
FIND: Ways = {
    "words": ((), ("language",)),
    "encoder": (("encoder",), ("read",)),
    "taught": (("retriever",), ()),
    "chance": ((), ("seed",)),
}
_OWN = ("language", "encoder", "read", "retriever", "seed")


class ChooseSpec(Spec):
    """Which demonstrations a question gets, by `find`; of `language` "none" has no stemmer and no stop words.

    `same = 0` shows a demonstration that is the question itself.
    """

    find: Literal["words", "encoder", "taught", "chance"] = "words"
    language: Text | None = None
    encoder: Ref | None = None
    read: Text | None = None
    retriever: Text | None = None
    seed: int | None = None
    k: Annotated[int, Field(ge=0)] = 4
    diverse: Literal["no", "mmr", "determinantal", "facility-location", "balanced"] = "no"
    relevance: Share = 0.7
    candidates: Count = 50
    order: Literal["best-last", "best-first"] = "best-last"
    same: Share = 0.9

    @model_validator(mode="after")
    def _found(self) -> ChooseSpec:
        fits("find", self.find, FIND, self.model_dump(include=set(_OWN), exclude_none=True))
        if self.find == "chance" and self.diverse not in ("no", "balanced"):
            raise ValueError(f'`diverse = "{self.diverse}"` compares demonstrations, and chance knows no likeness')
        return self

    def chosen(self) -> dict[str, Any]:
        """Return the settings of a `Chooser`."""
        told = self.model_dump(include={"k", "diverse", "relevance", "candidates", "order"})
        return {**told, "same": self.same or None}


class DemonstratedSpec(ChooseSpec):
    """`model` is shown solved examples, of `rows`, before each question."""

    use: Literal["demonstrated"]
    model: Ref
    rows: Text
    input: Text = "input"
    output: Text = "output"
    budget: Count = 1500
    show: Literal["turns", "text"] = "turns"
    question: Text | None = None
    answer: Text | None = None
    example: Text | None = None
    prompt: Text | None = None

    @model_validator(mode="after")
    def _shown(self) -> DemonstratedSpec:
        ways: Ways = {"turns": ((), ("question", "answer")), "text": ((), ("example", "prompt"))}
        given = self.model_dump(include={"question", "answer", "example", "prompt"}, exclude_none=True)
        fits("show", self.show, ways, given)
        return self


class SuperICLSpec(ChooseSpec):
    """`model` labels, and is shown what `plug_in`, a small model, says; `rows` are of `pilotfish prompts soft`."""

    use: Literal["super-icl"]
    model: Ref
    plug_in: Ref
    labels: Annotated[list[Text], Field(min_length=2)]
    rows: Text
    names: dict[str, str] = {}
    find: Literal["words", "encoder", "taught", "chance"] = "chance"
    k: Annotated[int, Field(ge=0)] = 8
    instruction: Text | None = None
    reasons: Literal["no", "overrides", "all"] = "no"
    max_tokens: Count = 128


class DecomposedSpec(Spec):
    """`model` answers the sub-questions that `decomposer` writes, and then the whole."""

    use: Literal["decomposed"]
    model: Ref
    decomposer: Ref
    most: Count = 5
    attempt: bool = False
    template: Text | None = None
    max_tokens: Count = 256


class InstructedSpec(Spec):
    """`model` with an `instruction` before each question, or one in the file `path`, as `pilotfish prompts` writes."""

    use: Literal["instructed"]
    model: Ref
    instruction: Text | None = None
    path: Text | None = None
    template: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> InstructedSpec:
        if (self.instruction is None) == (self.path is None):
            raise ValueError("give the `instruction`, or the `path` of a file that holds it")
        return self


ENHANCE: dict[str, type[Spec]] = {
    "demonstrated": DemonstratedSpec,
    "super-icl": SuperICLSpec,
    "decomposed": DecomposedSpec,
    "instructed": InstructedSpec,
}


class InstructionSpec(Spec):
    """`[prompts.instruction]`: the search for an instruction to `model`; `present` is the one there is.

    `candidates` are texts, or a file of one a line. `by = "likelihood"` goes by the probability of the right answer,
    of a local model, and with `labels` (a list, or label = "the name the model says") by its share among them.
    """

    rows: Text
    prompt: Text
    gold: Text
    model: Ref
    out: Text
    present: str = ""
    candidates: list[Text] | Text = []
    template: Text | None = None
    by: Literal["grade", "likelihood"] = "grade"
    grade: Text = "text"
    labels: Annotated[list[Text], Field(min_length=2)] | dict[str, Text] | None = None
    proposer: Ref | None = None
    proposals: Annotated[int, Field(ge=0)] = 8
    rounds: Count = 1
    scorer: Text | None = None
    proxy: Ref | None = None
    proxy_by: Literal["grade", "likelihood"] = "grade"
    proxy_rows: Count = 100
    finalists: Count = 8
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.5
    first: Annotated[int, Field(ge=2)] = 16
    eta: Annotated[float, Field(gt=1)] = 2.0
    max_calls: Annotated[int, Field(ge=4)] | None = None
    max_tokens: Count = 64
    temperature: From0 = 0.0
    concurrency: Count | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _fits(self) -> InstructionSpec:
        likely = "likelihood" in (self.by, self.proxy_by if self.proxy is not None else None)
        if self.labels is not None and not likely:
            raise ValueError('`labels` are of `by = "likelihood"`; a grade looks at answers')
        if self.proposer is None and "proposals" in self.model_fields_set:
            raise ValueError("`proposals` are a `proposer`'s: name a model")
        if self.scorer is not None and (self.proposer is None or self.rounds < 2):
            raise ValueError("a `scorer` picks among a later round's proposals: it needs a `proposer` and 2 `rounds`")
        if self.proxy is None and {"proxy_by", "proxy_rows"} & self.model_fields_set:
            raise ValueError("`proxy_by` and `proxy_rows` are of a `proxy`: name a small model")
        return self


class RetrieverSpec(Spec):
    """`[prompts.retriever]`: an encoder taught which solved examples help `reader`, weights of a language model.

    With `labels` an answer's worth is its share among them. `near` and `chance` are the examples tried for a question.
    """

    rows: Text
    encoder: Text
    reader: Text
    out: Text
    input: Text = "input"
    output: Text = "output"
    labels: Annotated[list[Text], Field(min_length=2)] | dict[str, Text] | None = None
    question: Text = "{input}"
    questions: Count | None = None
    near: Annotated[int, Field(ge=0)] = 8
    chance: Annotated[int, Field(ge=0)] = 8
    read: Text = "{input}\n{output}"
    language: Text = "english"
    same: Share = 0.9
    positives: Count = 3
    temperature: Above0 = 0.05
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.1
    device: Text = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    fit: FitSpec | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _some(self) -> RetrieverSpec:
        if self.near + self.chance < 2:
            raise ValueError("a question needs two examples to compare at least: `near` and `chance` together")
        return self


class SoftSpec(Spec):
    """`[prompts.soft]`: a small classifier, and its labels of rows that it did not learn from.

    `features` are "tf-idf", or an encoder's, of the file or by its weights.
    """

    rows: Text
    out: Text
    text: Text = "text"
    label: Text = "label"
    features: Text = "tf-idf"
    folds: Annotated[int, Field(ge=2)] = 5
    c: Above0 = 10.0
    seed: int = 0


class DecomposerSpec(Spec):
    """`[prompts.decomposer]`: rows of questions with their sub-questions, as `pilotfish tune --prompt` learns them."""

    rows: Text
    out: Text
    question: Text = "question"
    sub_questions: Text = "sub_questions"
    attempt: Text | None = None
    template: Text | None = None


class PromptsSpec(Spec):
    """The `[prompts]` tables; paths are from the file's."""

    instruction: InstructionSpec | None = None
    retriever: RetrieverSpec | None = None
    soft: SoftSpec | None = None
    decomposer: DecomposerSpec | None = None
