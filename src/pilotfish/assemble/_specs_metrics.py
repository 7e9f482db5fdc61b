"""What a `[metrics.NAME]` table may say: one class a kind.

[metrics.near]
use = "bertscore"
model = "all-minilm-l6-v2"
idf = true

A kind is a class here, with its words in `METRICS`, and a function in `_build_metrics`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pilotfish.assemble._spec import Spec, Text

__all__ = [
    "METRICS",
    "BartScoreSpec",
    "BertScoreSpec",
    "BleuSpec",
    "ChrfSpec",
    "ClaimsSpec",
    "ConsistencySpec",
    "EstimatorSpec",
    "MetricSpec",
    "MoverScoreSpec",
    "NliSpec",
    "OfReferences",
    "PerplexitySpec",
    "RougeSpec",
    "SelfCheckSpec",
    "SemanticEntropySpec",
    "ShortSpec",
    "YesNoSpec",
]

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


class MetricSpec(Spec):
    """Every metric: `candidate` is the column of what is scored, "answer" where nothing else is said."""

    use: str
    candidate: Text | None = None


class OfReferences(MetricSpec):
    """A metric by references; the column holds a text, or a list of them."""

    reference: Text = "reference"


class RougeSpec(OfReferences):
    """ROUGE, by the library of that name; `stemmed` takes Porter's stems."""

    use: Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]
    stemmed: bool = False


class BleuSpec(OfReferences):
    """Sentence BLEU, by sacrebleu."""

    use: Literal["bleu"]


class ChrfSpec(OfReferences):
    """chrF and chrF++, by sacrebleu."""

    use: Literal["chrf", "chrf++"]


class ShortSpec(OfReferences):
    """Short answers: equal to a reference, or the F1 of their words."""

    use: Literal["exact-match", "word-f1"]


class BertScoreSpec(OfReferences):
    """BERTScore; `model` is an encoder or local model of the file, or weights of either."""

    use: Literal["bertscore"]
    model: Text = "all-minilm-l6-v2"
    layer: int | None = None
    idf: bool = False
    rescale: bool = False
    dtype: Dtype | None = None
    long: Literal["windows", "cut"] = "windows"
    seed: Annotated[int, Field(ge=0)] = 0


class BartScoreSpec(OfReferences):
    """BARTScore; `model` is a local model of the file, or weights of one, or of a sequence-to-sequence one.

    `direction`: "faithfulness" is the candidate given the source, "precision" given the reference, "recall" the
    reference given the candidate, "f" the mean of these two.
    """

    use: Literal["bartscore"]
    model: Text
    direction: Literal["faithfulness", "precision", "recall", "f"] = "f"
    source: Text = "source"
    prompt: Text | None = None
    dtype: Dtype | None = None

    @field_validator("prompt")
    @classmethod
    def _has_the_place(cls, prompt: str | None) -> str | None:
        if prompt is not None and "{text}" not in prompt:
            raise ValueError("the prompt needs the place {text}")
        return prompt


class NliSpec(MetricSpec):
    """How probably the source (a text, or a list of passages) entails the candidate; `model` is a classifier of pairs.

    `labels` says which of its classes is which, where their names do not: {"entailment": 2, "contradiction": 0}.
    """

    use: Literal["nli"]
    model: Text
    source: Text = "source"
    labels: dict[Literal["entailment", "neutral", "contradiction"], int] | None = None
    dtype: Dtype = "float32"


class MoverScoreSpec(OfReferences):
    """MoverScore; `model` as BERTScore's, `n` tokens are moved together."""

    use: Literal["moverscore"]
    model: Text = "all-minilm-l6-v2"
    layer: int | None = None
    n: Annotated[int, Field(ge=1)] = 1
    idf: bool = False
    dtype: Dtype | None = None
    long: Literal["windows", "cut"] = "windows"


class ConsistencySpec(MetricSpec):
    """How far the source bears out each sentence of the candidate; `model` is a classifier of pairs, as `nli` has it.

    `sizes`: of how many sentences the pieces of the source are; of several sizes all are asked.
    """

    use: Literal["consistency"]
    model: Text
    source: Text = "source"
    sizes: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] = [1, 3]
    language: Text = "en"
    labels: dict[Literal["entailment", "neutral", "contradiction"], int] | None = None
    dtype: Dtype = "float32"


class ClaimsSpec(MetricSpec):
    """The share of the candidate's claims that the source bears out.

    `model` of the file takes the claims out, each text is asked about once and answers lie in `store`; `checker` is a
    classifier of pairs, as `nli` has it.
    """

    use: Literal["claims"]
    model: Text
    checker: Text
    store: Text = "claims"
    source: Text = "source"
    form: Literal["sentences", "triplets"] = "sentences"
    size: Annotated[int, Field(ge=1)] = 3
    max_tokens: Annotated[int, Field(ge=1)] = 512
    language: Text = "en"
    labels: dict[Literal["entailment", "neutral", "contradiction"], int] | None = None
    dtype: Dtype = "float32"


class YesNoSpec(MetricSpec):
    """How surely a model says yes to a question about the candidate.

    `question` has columns in braces, `{text}` being the candidate and `{source}` the source; or it is coherence,
    consistency, fluency or relevance. `model` as BARTScore's.
    """

    use: Literal["yes-no"]
    model: Text
    question: Text = "fluency"
    source: Text = "source"
    answers: tuple[Text, Text] = (" Yes", " No")
    dtype: Dtype | None = None


class PerplexitySpec(MetricSpec):
    """The candidate's perplexity, with nothing before it; `model` is a local model of the file, or weights of one."""

    use: Literal["perplexity"]
    model: Text = "smollm2-135m-instruct"
    dtype: Dtype | None = None


class SelfCheckSpec(MetricSpec):
    """SelfCheck: how likely the candidate is made up, by further answers in the column `samples`; lower is better.

    `way`: "nli" (`model` is a classifier of pairs), "bertscore" (`model` as BERTScore's), "ngram" (no model), "prompt"
    (`model` of the file is asked, each question once; answers lie in `store`).
    """

    use: Literal["selfcheck"]
    way: Literal["nli", "bertscore", "ngram", "prompt"] = "ngram"
    model: Text | None = None
    samples: Text = "samples"
    n: Annotated[int, Field(ge=1)] = 1
    layer: int | None = None
    store: Text = "selfcheck"
    language: Text = "en"
    labels: dict[Literal["entailment", "neutral", "contradiction"], int] | None = None
    dtype: Dtype | None = None

    @model_validator(mode="after")
    def _has_a_model(self) -> SelfCheckSpec:
        if (self.model is None) != (self.way == "ngram"):
            raise ValueError('`way = "ngram"` needs no `model`, and every other way needs one')
        return self


class SemanticEntropySpec(MetricSpec):
    """The entropy over meanings of the answers in the column `samples`, in nats; lower is surer.

    `model` is a classifier of pairs; without one answers mean the same where they have the same words in order.
    """

    use: Literal["semantic-entropy"]
    model: Text | None = None
    samples: Text = "samples"
    least: Annotated[float, Field(ge=0, le=1)] = 0.5
    labels: dict[Literal["entailment", "neutral", "contradiction"], int] | None = None
    dtype: Dtype = "float32"


class EstimatorSpec(MetricSpec):
    """An evaluator that was taught on people's scores; `path` is its folder, which says what columns it reads."""

    use: Literal["estimator"]
    path: Text


METRICS: dict[str, type[MetricSpec]] = {
    **dict.fromkeys(("rouge1", "rouge2", "rougeL", "rougeLsum"), RougeSpec),
    "bleu": BleuSpec,
    **dict.fromkeys(("chrf", "chrf++"), ChrfSpec),
    **dict.fromkeys(("exact-match", "word-f1"), ShortSpec),
    "bertscore": BertScoreSpec,
    "bartscore": BartScoreSpec,
    "nli": NliSpec,
    "moverscore": MoverScoreSpec,
    "consistency": ConsistencySpec,
    "claims": ClaimsSpec,
    "yes-no": YesNoSpec,
    "perplexity": PerplexitySpec,
    "estimator": EstimatorSpec,
    "selfcheck": SelfCheckSpec,
    "semantic-entropy": SemanticEntropySpec,
}
