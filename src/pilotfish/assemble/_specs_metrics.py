"""What a `[metrics.NAME]` table may say: one class a kind.

[metrics.near]
use = "bertscore"
model = "all-minilm-l6-v2"
idf = true

A kind is a class here, with its words in `METRICS`, and a function in `_build_metrics`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from pilotfish.assemble._spec import Spec, Text

__all__ = [
    "METRICS",
    "BartScoreSpec",
    "BertScoreSpec",
    "BleuSpec",
    "ChrfSpec",
    "MetricSpec",
    "NliSpec",
    "OfReferences",
    "RougeSpec",
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


METRICS: dict[str, type[MetricSpec]] = {
    **dict.fromkeys(("rouge1", "rouge2", "rougeL", "rougeLsum"), RougeSpec),
    "bleu": BleuSpec,
    **dict.fromkeys(("chrf", "chrf++"), ChrfSpec),
    "bertscore": BertScoreSpec,
    "bartscore": BartScoreSpec,
    "nli": NliSpec,
}
