"""The `[judge]` table: which models judge which columns, by which rubric, and how they are held against people."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Count, From0, Ref, Spec, Text

__all__ = ["JudgeSpec"]


class JudgeSpec(Spec):
    """Judges of single answers, or with `against` of two; several are a panel. Flags of `pilotfish judge` go before it.

    `criteria` are name = "what it asks about"; `meanings` say what numbers of the scale stand for. `label_model` weighs
    the panel's votes: "mean" (of scores alone) or a label model.
    """

    models: list[Ref] = []
    criteria: Annotated[dict[str, str], Field(min_length=1)] | None = None
    low: int = 1
    high: int = 5
    meanings: dict[str, Text] = {}
    task: Text = "prompt"
    answer: Text = "answer"
    against: Text | None = None
    reference: Text | None = None
    gold: Text | None = None
    group_by: Text | None = None
    prompt: Text | None = None
    by: Literal["auto", "answer", "probability"] = "auto"
    explain: bool = False
    together: bool = True
    constrained: bool = True
    ties: bool = True
    settle: Literal["auto", "orders", "mean"] = "auto"
    samples: Count = 1
    temperature: From0 = 0.0
    max_tokens: Count = 512
    settings: dict[str, Any] = {}
    label_model: Text | None = None
    calibrate: Literal["isotonic", "linear", "per-class", "off"] = "isotonic"
    learn_ties: bool = False
    seed: int = 0
    concurrency: Count | None = None
    out: Text | None = None

    @model_validator(mode="after")
    def _fits(self) -> JudgeSpec:
        if self.learn_ties and (self.against is None or self.gold is None):
            raise ValueError("`learn_ties` is learnt on people's verdicts of pairs: give `against` and `gold`")
        if self.against is not None and self.label_model == "mean":
            raise ValueError('verdicts on pairs have no mean: take "majority", or another label model')
        return self
