"""The `[synthesize]` table: what is made, by whom, how much of it, and what is worth keeping; paths are the file's."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from pilotfish.assemble._spec import Above0, Count, Ref, Spec, Text
from pilotfish.assemble._specs_augment import (
    AUGMENT,
    UNASKED,
    BacktranslatedSpec,
    FlippedSpec,
    MixedSpec,
    NoisedSpec,
    ParaphrasedSpec,
    RestyledSpec,
    SlottedSpec,
)
from pilotfish.assemble._specs_keep import KeepSpec
from pilotfish.assemble._specs_labels import LabelsOnlySpec
from pilotfish.assemble._specs_scratch import (
    SCRATCH,
    AttributedSpec,
    BranchedSpec,
    CodedSpec,
    ConversedSpec,
    EvolvedSpec,
    InstructedSpec,
    QuestionedSpec,
    TabularSpec,
)

__all__ = ["BudgetSpec", "SynthesizeSpec", "TrainSpec"]


class BudgetSpec(Spec):
    """`budget = { dollars = 5 }`: the most that all calls together may take."""

    calls: Count | None = None
    tokens: Count | None = None
    dollars: Above0 | None = None


class TrainSpec(Spec):
    """`[synthesize.train]`: the student that `--train` teaches, and the rows of people that it is measured on.

    `features` are "tf-idf", or an encoder of the file or by its weights; `few` is a file of people's labels to learn
    from as well.
    """

    gold: Text
    text: Text = "text"
    label: Text = "label"
    features: Text = "tf-idf"
    few: Text | None = None


# The recipes, one table each.
RECIPES = (*SCRATCH, "labels", *AUGMENT)


class SynthesizeSpec(Spec):
    """The `[synthesize]` table; one of its recipes' tables says what is made."""

    model: Ref | None = None
    out: Text | None = None
    rows: Count | None = None
    budget: BudgetSpec = BudgetSpec()
    rounds: Count = 20
    reuse: Literal["exact", "finished"] = "exact"
    concurrency: Count | None = None
    seed: int = 0
    formats: list[Literal["parquet", "datasets"]] = []
    keep: KeepSpec | None = None
    train: TrainSpec | None = None
    attributed: AttributedSpec | None = None
    instructed: InstructedSpec | None = None
    evolved: EvolvedSpec | None = None
    branched: BranchedSpec | None = None
    questioned: QuestionedSpec | None = None
    conversed: ConversedSpec | None = None
    tabular: TabularSpec | None = None
    coded: CodedSpec | None = None
    labels: LabelsOnlySpec | None = None
    paraphrased: ParaphrasedSpec | None = None
    restyled: RestyledSpec | None = None
    backtranslated: BacktranslatedSpec | None = None
    flipped: FlippedSpec | None = None
    mixed: MixedSpec | None = None
    noised: NoisedSpec | None = None
    slotted: SlottedSpec | None = None

    @model_validator(mode="after")
    def _one_recipe(self) -> SynthesizeSpec:
        given = [name for name in RECIPES if getattr(self, name) is not None]
        if len(given) != 1:
            said = "give one" if not given else f"{' and '.join(given)} are two: give one"
            raise ValueError(f"a synthesis has one recipe, a table of its own ({', '.join(RECIPES)}); {said}")
        if given[0] not in UNASKED and self.model is None:
            raise ValueError(f"{given[0]} rows are asked of a `model`: name one")
        unread = [key for key in ("model", "budget", "reuse", "concurrency") if key in self.model_fields_set]
        if given[0] in UNASKED and unread:
            raise ValueError(f"{given[0]} rows are made without a model: nothing would look at {' and '.join(unread)}")
        if self.labels is not None and "rounds" in self.model_fields_set:
            raise ValueError("labels are one round: `rounds` is for rows from scratch")
        return self

    @property
    def recipe(self) -> str:
        """The recipe's name."""
        return next(name for name in RECIPES if getattr(self, name) is not None)
