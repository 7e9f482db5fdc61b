"""The tables of black-box adaptation: cards that write what they know, and an energy that picks what suits a domain."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, From0, Ref, Spec, Text
from pilotfish.assemble._specs_check import Ways, fits

__all__ = ["KNOWLEDGE", "AdaptedSpec", "CardSpec", "EnergySpec", "KnowledgeSpec", "RouteCardsSpec", "SelectSpec"]

Cosine = Annotated[float, Field(ge=-1, le=1)]
SELECTS: Ways = {
    "relevance": (("encoder",), ("keep", "least")),
    "brevity": (("encoder",), ("words",)),
    "factuality": (("nli",), ("keep", "least", "seed")),
}
ROUTES: Ways = {"nearest": (("encoder",), ("most", "least")), "asked": (("model",), ())}


class CardSpec(Spec):
    """A small model of a domain, as `pilotfish tune --prompt` makes it, and how it is asked."""

    model: Ref
    domain: str = ""
    prompt: Text | None = None
    notes: Count = 1
    max_tokens: Count = 128
    temperature: From0 = 0.7


class SelectSpec(Spec):
    """What chooses among notes, named by `by`: nearness to the question, brevity, what other texts bear out.

    `nli` is the weights of a model of entailment, or "words".
    """

    by: Literal["relevance", "brevity", "factuality"]
    encoder: Ref | None = None
    nli: Text | None = None
    keep: Count | None = None
    least: Cosine | None = None
    words: Count | None = None
    seed: int | None = None

    @model_validator(mode="after")
    def _fits(self) -> SelectSpec:
        fits("select", self.by, SELECTS, self.settings())
        return self

    def settings(self) -> dict[str, Any]:
        """Return what was given, without `by`."""
        return self.model_dump(exclude={"by"}, exclude_none=True)


class RouteCardsSpec(Spec):
    """Which cards are asked: those of the nearest domain, or the one that a model names."""

    by: Literal["nearest", "asked"]
    encoder: Ref | None = None
    model: Ref | None = None
    most: Count | None = None
    least: Cosine | None = None

    @model_validator(mode="after")
    def _fits(self) -> RouteCardsSpec:
        fits("route", self.by, ROUTES, self.settings())
        return self

    def settings(self) -> dict[str, Any]:
        """Return what was given, without `by`."""
        return self.model_dump(exclude={"by"}, exclude_none=True)


class KnowledgeSpec(Spec):
    """`model` answers, told what `cards` know; `select` chooses among their notes, one after another."""

    use: Literal["knowledge"]
    model: Ref
    cards: Annotated[list[CardSpec], Field(min_length=1)]
    select: list[SelectSpec] = []
    route: RouteCardsSpec | None = None
    prompt: Text | None = None


class EnergySpec(Spec):
    """An energy's folder, as `pilotfish.adapt.energy` saves it; it scores answers and gives none."""

    use: Literal["energy"]
    path: Text


class AdaptedSpec(Spec):
    """`model` proposes sentences, of which `energy` keeps the best; whole answers are `use = "best-of-n"`'s."""

    use: Literal["adapted"]
    model: Ref
    energy: Ref
    beams: Count = 3
    proposals: Count = 3
    steps: Count = 8
    temperature: Above0 = 1.0
    sentence_tokens: Count = 96


KNOWLEDGE: dict[str, type[Spec]] = {"knowledge": KnowledgeSpec, "energy": EnergySpec, "adapted": AdaptedSpec}
