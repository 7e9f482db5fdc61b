"""The tables of `[synthesize]` for rows from scratch: one a recipe of `pilotfish.synthesize.scratch`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, From0, Spec, Text

__all__ = [
    "SCRATCH",
    "AttributedSpec",
    "BranchedSpec",
    "CodedSpec",
    "ConversedSpec",
    "EvolvedSpec",
    "InstructedSpec",
    "QuestionedSpec",
    "TabularSpec",
]

Values = Annotated[list[Text], Field(min_length=1)]
# The recipes' tables, by name.
SCRATCH = ("attributed", "instructed", "evolved", "branched", "questioned", "conversed", "tabular", "coded")


class ColumnSpec(Spec):
    """A file of rows and the column of it whose values are taken: the names of a tree, such as `branched` makes."""

    file: Text
    column: Text = "name"


Listed = Values | ColumnSpec


class AskingSpec(Spec):
    """How a model is asked; see `pilotfish.synthesize.asking`. What is not given is the recipe's own."""

    temperatures: Annotated[list[From0], Field(min_length=1)] | None = None
    max_tokens: Count | None = None
    constrained: bool = True
    template: Text | None = None


class AttributedSpec(AskingSpec):
    """`[synthesize.attributed]`: rows by class and attributes."""

    task: Text
    fields: Annotated[dict[str, Any], Field(min_length=1)]
    label: Text | None = None
    labels: Annotated[list[Text], Field(min_length=2)] | dict[str, str] | None = None
    shares: dict[str, Above0] | None = None
    attributes: dict[str, Listed] = {}
    by_label: dict[str, dict[str, Listed]] = {}
    examples: Text | None = None
    shots: Annotated[int, Field(ge=0)] = 3
    each: Count = 1

    @model_validator(mode="after")
    def _fits(self) -> AttributedSpec:
        if self.examples is None and "shots" in self.model_fields_set:
            raise ValueError("`shots` are drawn from `examples`, a file of rows: give that")
        return self


class InstructedSpec(AskingSpec):
    """`[synthesize.instructed]`: tasks after the pattern of `seeds`, a file of rows with `instruction`."""

    seeds: Text
    domain: Text | None = None
    people: Count = 6
    own: Annotated[int, Field(ge=0)] = 2
    each: Count = 1


class EvolvedSpec(AskingSpec):
    """`[synthesize.evolved]`: the tasks of `seeds` made harder, generation after generation."""

    seeds: Text
    generations: Count = 1
    ways: (
        Annotated[
            list[Literal["constraints", "deepening", "concretizing", "reasoning", "complicating", "broadening"]],
            Field(min_length=1),
        ]
        | None
    ) = None
    longer: Count = 20


class BranchedSpec(AskingSpec):
    """`[synthesize.branched]`: a tree of topics or personas, `branches` of each node a level."""

    task: Text
    branches: Annotated[list[Count], Field(min_length=1)]
    kind: Text = "topics"


class QuestionedSpec(AskingSpec):
    """`[synthesize.questioned]`: questions and answers from `documents`, a file of rows."""

    documents: Text
    text: Text = "text"
    each: Count = 2
    words: Annotated[int, Field(ge=20)] = 300
    difficulty: Text | None = None


class ConversedSpec(AskingSpec):
    """`[synthesize.conversed]`: chats, by personas and attributes."""

    task: Text
    messages: Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1)] = [4]
    personas: Listed | None = None
    assistant: Text | None = None
    attributes: dict[str, Listed] = {}


class TabularSpec(AskingSpec):
    """`[synthesize.tabular]`: rows of a table, `columns` sampled, `fields` written to fit them."""

    task: Text
    columns: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    constraints: list[Text] = []
    fields: Annotated[dict[str, Any], Field(min_length=1)]


class CodedSpec(AskingSpec):
    """`[synthesize.coded]`: exercises in Python, kept where they are proven by running them."""

    task: Text
    attributes: dict[str, Listed] = {}
    tests: Count = 3
    seconds: Above0 = 5.0
