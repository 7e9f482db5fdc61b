"""The `[synthesize]` table: what is made, by whom, how much of it, and what is worth keeping; paths are the file's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, From0, Ref, Spec, Text

__all__ = ["AttributedSpec", "BudgetSpec", "SynthesizeSpec"]

Values = Annotated[list[Text], Field(min_length=1)]


class BudgetSpec(Spec):
    """`budget = { dollars = 5 }`: the most that all calls together may take."""

    calls: Count | None = None
    tokens: Count | None = None
    dollars: Above0 | None = None


class AttributedSpec(Spec):
    """`[synthesize.attributed]`: rows by class and attributes; see `pilotfish.synthesize.scratch.attributed`."""

    task: Text
    fields: Annotated[dict[str, Any], Field(min_length=1)]
    label: Text | None = None
    labels: Annotated[list[Text], Field(min_length=2)] | dict[str, str] | None = None
    shares: dict[str, Above0] | None = None
    attributes: dict[str, Values] = {}
    by_label: dict[str, dict[str, Values]] = {}
    examples: Text | None = None
    shots: Annotated[int, Field(ge=0)] = 3
    each: Count = 1
    temperatures: Annotated[list[From0], Field(min_length=1)] = [1.0]
    max_tokens: Count = 512
    template: Text = "attributed"
    constrained: bool = True

    @model_validator(mode="after")
    def _fits(self) -> AttributedSpec:
        if self.examples is None and "shots" in self.model_fields_set:
            raise ValueError("`shots` are drawn from `examples`, a file of rows: give that")
        return self


# The recipes, one table each.
RECIPES = ("attributed",)


class SynthesizeSpec(Spec):
    """The `[synthesize]` table; one of its recipes' tables says what is made."""

    model: Ref
    out: Text | None = None
    rows: Count | None = None
    budget: BudgetSpec = BudgetSpec()
    rounds: Count = 20
    reuse: Literal["exact", "finished"] = "exact"
    concurrency: Count | None = None
    seed: int = 0
    attributed: AttributedSpec | None = None

    @model_validator(mode="after")
    def _one_recipe(self) -> SynthesizeSpec:
        given = [name for name in RECIPES if getattr(self, name) is not None]
        if len(given) != 1:
            said = "give one" if not given else f"{' and '.join(given)} are two: give one"
            raise ValueError(f"a synthesis has one recipe, a table of its own ({', '.join(RECIPES)}); {said}")
        return self

    @property
    def recipe(self) -> str:
        """The recipe's name."""
        return next(name for name in RECIPES if getattr(self, name) is not None)
