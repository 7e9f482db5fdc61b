"""`[synthesize.labels]`: rows that a large model labels; see `pilotfish.synthesize.labels`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, From0, Ref, Share, Spec, Text

__all__ = ["KINDS", "LabelsOnlySpec"]

Names = Annotated[list[Text], Field(min_length=1)] | Annotated[dict[str, str], Field(min_length=1)]

# The kinds, with the settings that are theirs; those before the bar must be given.
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "choice": (("labels",), ("text",)),
    "several": (("labels",), ("text", "ask", "share")),
    "spans": (("labels",), ("text", "mentions", "unfound", "overlaps", "share", "most")),
    "preference": ((), ("text", "first", "second", "ties")),
    "score": ((), ("text", "low", "high", "meanings", "whole", "take", "within")),
}
_OWN = tuple(dict.fromkeys(name for must, may in KINDS.values() for name in (*must, *may)))
_SHOTS = ("select", "relevance", "encoder")
_GOLD = ("judge", "calibrate", "shots")
ANSWERS = ("samples", "temperature", "weigh", "max_tokens", "constrained")  # looked at where an answer is asked for


class LabelsOnlySpec(Spec):
    """`[synthesize.labels]`: what is labelled, how it is asked, and what is sure enough to be kept."""

    kind: Literal["choice", "several", "spans", "preference", "score"]
    rows: Text
    task: Text
    into: Text = "label"
    gold: Text | None = None
    judge: Annotated[int, Field(ge=0)] = 200
    calibrate: Literal["auto", "off", "temperature", "isotonic"] = "auto"
    shots: Annotated[int, Field(ge=0)] = 0
    select: Literal["random", "near", "mmr", "balanced"] | None = None
    relevance: Share | None = None
    encoder: Ref | None = None
    by: Literal["auto", "answer", "probability"] = "auto"
    unbias: bool = False
    samples: Count = 1
    temperature: From0 | None = None
    weigh: bool = False
    max_tokens: Count = 256
    constrained: bool = True
    least: Annotated[float, Field(gt=0, le=1)] | None = None
    template: Text | None = None

    labels: Names | None = None
    text: Text | Annotated[list[Text], Field(min_length=1)] | None = None
    ask: Literal["set", "each"] | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    mentions: Literal["listed", "all"] | None = None
    unfound: Literal["reject", "drop"] | None = None
    overlaps: Literal["keep", "longest", "reject"] | None = None
    most: Count | None = None
    first: Text | None = None
    second: Text | None = None
    ties: bool | None = None
    low: float | None = None
    high: float | None = None
    meanings: dict[str, str] | None = None
    whole: bool | None = None
    take: Literal["mean", "mode"] | None = None
    within: Above0 | None = None

    @model_validator(mode="after")
    def _fits(self) -> LabelsOnlySpec:
        must, may = KINDS[self.kind]
        for name in _OWN:
            given = getattr(self, name) is not None
            if given and name not in (*must, *may):
                raise ValueError(f"labels of the kind {self.kind} take no `{name}`; theirs are {_listed(must, may)}")
            if name in must and not given:
                raise ValueError(f"labels of the kind {self.kind} need `{name}`")
        if isinstance(self.text, list) and self.kind == "spans":
            raise ValueError("spans are of one column: offsets into several mean nothing")
        self._without_gold()
        if self.by == "probability":
            self._refuse(ANSWERS, "is for answers, and these go by probability")
        elif self.by == "answer" and self.unbias:
            raise ValueError("`unbias` needs probabilities, which an answer does not have")
        return self

    def _without_gold(self) -> None:
        if self.gold is None:
            self._refuse((*_GOLD, *_SHOTS), "needs `gold`, a file of rows that people have labelled")
        if not self.shots:
            self._refuse(_SHOTS, "is about `shots`, of which there are none")
        if self.encoder is None and self.select not in (None, "random"):
            raise ValueError(f'`select = "{self.select}"` needs an `encoder`, a model of this file')
        if self.encoder is not None and self.select == "random":
            raise ValueError('an `encoder` is not looked at where `select = "random"`')
        if self.relevance is not None and (self.encoder is None or self.select not in (None, "mmr")):
            raise ValueError('`relevance` is for `select = "mmr"`, with an `encoder`')

    def _refuse(self, names: tuple[str, ...], why: str) -> None:
        for name in names:
            if name in self.model_fields_set and getattr(self, name) is not None:
                raise ValueError(f"`{name}` {why}")

    @property
    def settings(self) -> dict[str, Any]:
        """What the kind takes, as far as it is given."""
        must, may = KINDS[self.kind]
        return {name: value for name in (*must, *may) if (value := getattr(self, name)) is not None}

    @property
    def columns(self) -> list[str]:
        """The columns that rows must have."""
        named = ["text"] if self.text is None else [self.text] if isinstance(self.text, str) else self.text
        if self.kind != "preference":
            return named
        return [self.first or "first", self.second or "second", *([] if self.text is None else named)]


def _listed(must: tuple[str, ...], may: tuple[str, ...]) -> str:
    return ", ".join((*must, *may))
