"""The table of models that answer from passages: a retriever of the file in front of a model."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from pilotfish.assemble._spec import Count, Ref, Share, Spec, Text
from pilotfish.assemble._specs_cascade import AcceptSpec
from pilotfish.assemble._specs_check import Ways, fits
from pilotfish.assemble._specs_compress import CompressorSpec

__all__ = ["EnoughSpec", "RetrieveSpec", "WhetherSpec"]

WHETHER: Ways = {"label": (("classifier",), ("label", "above")), "sure": (("accept",), ("model",))}
ENOUGH: Ways = {"score": (("above",), ("part",)), "choice": (("judge", "above"), ("label", "passages", "prompt"))}


class WhetherSpec(Spec):
    """Whether to look at all, by `by`: a classifier of questions, or how sure an answer without passages is.

    Of `sure` the model that answers without passages is the table's own where none is named.
    """

    by: Literal["label", "sure"]
    classifier: Ref | None = None
    label: Text | None = None
    above: Share | None = None
    model: Ref | None = None
    accept: AcceptSpec | None = None

    @model_validator(mode="after")
    def _fits(self) -> WhetherSpec:
        fits("whether", self.by, WHETHER, self.model_dump(exclude={"by"}, exclude_none=True))
        return self


class EnoughSpec(Spec):
    """Whether what was found will do, by `by`: the best score, or what a labeller or classifier says of passages."""

    by: Literal["score", "choice"] = "score"
    above: float | None = None
    part: Text | None = None
    judge: Ref | None = None
    label: Text | None = None
    passages: Count | None = None
    prompt: Text | None = None

    @model_validator(mode="after")
    def _fits(self) -> EnoughSpec:
        fits("enough", self.by, ENOUGH, self.settings())
        return self

    def settings(self) -> dict[str, Any]:
        """Return what was given, without `by`."""
        return self.model_dump(exclude={"by"}, exclude_none=True)


class RetrieveSpec(Spec):
    """`model` answers from what `retriever`, one of `[retrievers]`, finds.

    `nli` says how far passages bear out what cites them: weights of a model of entailment, or "words". `compress` makes
    passages shorter where they are more than the `budget`, so that more of them are shown; what cites them is held
    against the whole ones.
    """

    use: Literal["retrieve"]
    retriever: Text
    model: Ref
    k: Count = 10
    budget: Count = 1500
    whether: WhetherSpec | None = None
    enough: EnoughSpec | None = None
    condense: Ref | None = None
    cite: Literal["no", "note", "strip"] = "note"
    nli: Text | None = None
    least: Share = 0.5
    order: Literal["best-first", "best-last", "ends"] = "best-first"
    compress: CompressorSpec | None = None
    otherwise: Text | None = None
    prompt: Text | None = None
