"""The tables of `[distill]` for what is learnt of a teacher's answers alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, From0, Ref, Share, Spec, Text
from pilotfish.assemble._specs_check import CheckSpec

__all__ = ["AnswersSpec", "JudgeSpec", "LabelsSpec", "PreferencesSpec", "RationalesSpec", "VectorsSpec"]

Labels = Annotated[list[Text], Field(min_length=2)]


class AskSpec(Spec):
    """How a model is asked."""

    temperature: From0 = 0.0
    max_tokens: Count = 512
    seed: int = 0
    concurrency: Count | None = None

    @model_validator(mode="after")
    def _draws(self) -> AskSpec:
        if not self.temperature and "seed" in self.model_fields_set:
            raise ValueError("`seed` needs a temperature above 0: nothing is drawn otherwise")
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """The fields of the request."""
        drawn = {"seed": self.seed} if self.temperature else {}
        return {"max_tokens": self.max_tokens, "temperature": self.temperature, **drawn}


class JudgeSpec(Spec):
    """A model of the file that judges: `judge = "large"`, or a table where it is to be asked otherwise.

    `low` and `high` are the ends of the scale of its grades, 1 and 10 where they are not given.
    """

    model: Ref
    prompt: Text | None = None
    low: float | None = None
    high: float | None = None
    max_tokens: Count = 256


class AnswersSpec(AskSpec):
    """`[distill.answers]`: how the teacher is asked, and which of its answers are learnt.

    They are kept that pass every check of `verify`; then those of the majority, where at least a share `agree` of what
    is left says so; then those that are right by the column `gold`; then the `count` best, by `best` or by a `judge`.
    `read` is how an answer is read out of a reply, for `agree` and `gold`.
    """

    samples: Count = 1
    verify: list[CheckSpec] = []
    agree: Share | None = None
    read: Text = "text"
    gold: Text | None = None
    best: Text | None = None
    judge: Ref | JudgeSpec | None = None
    count: Count = 1
    least: float | None = None
    balanced: bool = False

    @model_validator(mode="after")
    def _fits(self) -> AnswersSpec:
        given = self.model_fields_set
        if "read" in given and self.agree is None and self.gold is None:
            raise ValueError("`read` is for `agree` or `gold`: nothing else reads an answer out of a reply")
        if self.best is not None and self.judge is not None:
            raise ValueError("the best are told by `best` or by a `judge`, not by both")
        ranked = self.best is not None or self.judge is not None
        if not ranked and given & {"count", "least"}:
            raise ValueError("`count` and `least` are for `best` or a `judge`: nothing else scores answers")
        if self.agree is not None and self.samples < 2:
            raise ValueError("`agree` needs several `samples`: one answer always agrees with itself")
        if ranked and self.least is None and self.samples <= self.count:
            raise ValueError(f"the best {self.count} of {self.samples} are all of them: more `samples`, or a `least`")
        return self


class RationalesSpec(AskSpec):
    """`[distill.rationales]`: the teacher gives a label and why, and the student learns the two as two tasks.

    `prompt` of `[distill]` is the question, which the student sees; `prompt` here is what the teacher is asked, with
    the places {question} and {choices}. `weigh` is what counts the same: an answer, so that `alpha` is the label's
    share whatever the lengths, or a token.
    """

    labels: Labels | None = None
    names: dict[str, str] = {}
    gold: Text | None = None
    alpha: Share = 0.5
    prompt: Text | None = None
    parse: Text | None = None
    weigh: Literal["answers", "tokens"] = "answers"

    @model_validator(mode="after")
    def _fits(self) -> RationalesSpec:
        _named(self.labels, self.names)
        return self


class PreferencesSpec(AskSpec):
    """`[distill.preferences]`: the student answers several times, a judge compares, and DPO teaches.

    `judge` is a model of the file, the teacher where it is not given. `by` is what it is asked: of two answers which
    is better, in both orders, or the grade of each; a reward model (use = "reward") gives grades. Pairs are drawn by
    `seed` as well.
    """

    temperature: Above0 = 1.0
    max_tokens: Count = 256
    samples: Annotated[int, Field(ge=2)] = 4
    pairs: Count | None = None
    judge: Ref | JudgeSpec | None = None
    by: Literal["pairs", "grades"] = "pairs"
    margin: From0 = 0.0
    beta: Above0 = 0.1
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0

    @model_validator(mode="after")
    def _fits(self) -> PreferencesSpec:
        scale = isinstance(self.judge, JudgeSpec) and {"low", "high"} & self.judge.model_fields_set
        if self.by == "pairs" and (scale or "margin" in self.model_fields_set):
            raise ValueError('`margin`, `low` and `high` are for grades (by = "grades"): of two answers one is better')
        return self


class LabelsSpec(Spec):
    """`[distill.labels]`: the student is a classifier, taught the teacher's labels of rows that people left without.

    A "linear" one stands on TF-IDF, or on the vectors of `student`; for an "encoder" `student` is fine-tuned (of a
    language model an encoder is made first), for "contrastive" it learns by pairs which texts share a label; a "bag" of
    hashed n-grams needs no encoder; "tree" grows trees over `columns`. Several `alpha` are chosen from by folds over
    people's labels.
    """

    kind: Literal["linear", "encoder", "contrastive", "bag", "tree"] = "linear"
    labels: Labels | None = None
    gold: Text | None = None
    columns: list[Text] | None = None
    names: dict[str, str] = {}
    instruction: Text | None = None
    max_text: Count | None = None
    alpha: Share | Annotated[list[Share], Field(min_length=1)] | None = None
    temperature: Above0 | None = None
    c: Above0 | None = None
    head_rate: Above0 | None = None
    rounds: Count | None = None
    rate: Above0 | None = None
    leaves: Annotated[int, Field(ge=2)] | None = None
    pairs: Count | None = None
    epochs: Count | None = None
    concurrency: Count | None = None

    @model_validator(mode="after")
    def _fits(self) -> LabelsSpec:
        own = {
            "linear": ("temperature", "c"),
            "encoder": ("temperature", "head_rate"),
            "contrastive": ("temperature", "c", "pairs"),
            "bag": ("epochs", "rate"),
            "tree": _TREE,
        }
        for name in _OF_KINDS:
            if getattr(self, name) is not None and name not in own[self.kind]:
                raise ValueError(f"a {self.kind} student takes no `{name}`; it takes {', '.join(own[self.kind])}")
        if self.kind == "tree" and not self.columns:
            raise ValueError("a tree student needs `columns`, a list of those to go by")
        if self.labels is None and self.gold is None:
            raise ValueError("give `labels`, a list, or `gold`, the column of people's labels")
        if self.labels is not None:
            _named(self.labels, self.names)
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """What the kind of student takes, as far as it is given."""
        return {name: value for name in ("alpha", *_OF_KINDS) if (value := getattr(self, name)) is not None}


_TREE = ("columns", "rounds", "rate", "leaves")
_OF_KINDS = ("temperature", "c", "head_rate", "pairs", "epochs", *_TREE)


class VectorsSpec(Spec):
    """`[distill.vectors]`: the student is an encoder, whose vectors come to agree with those of the teacher.

    The teacher is an encoder, or a language model by its mean hidden states. A text's loss is cosine (1 - cos) + mse
    |s - t|^2 + similarity (the squared difference of its cosines to the other texts).
    """

    cosine: From0 = 1.0
    mse: From0 = 0.0
    similarity: From0 = 1.0


def _named(labels: list[str] | None, names: dict[str, str]) -> None:
    """See that labels differ, and that names are of labels.

    Raises:
        ValueError: they do not.
    """
    if labels is not None and len(set(labels)) < len(labels):
        raise ValueError("a label stands in `labels` twice")
    unknown = [label for label in names if label not in (labels or ())]
    if unknown:
        raise ValueError(f"`names` has {unknown[0]!r}, which is not among `labels`")
