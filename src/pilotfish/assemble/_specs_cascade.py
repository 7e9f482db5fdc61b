"""The tables of cascades: models in order, and what trusts the replies of each but the last."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Count, Ref, Share, Spec, Text
from pilotfish.assemble._specs_check import CHECKS, CheckFields, Ways, fits

__all__ = ["AcceptSpec", "CascadeSpec"]

# What each way to accept takes beside `by`; the first names are those it cannot do without. Where `above` is one of
# them, a calibration may stand in its place.
WAYS: Ways = {
    "score": (("score", "above"), ("quantile",)),
    "agreement": (("above",), ("samples", "temperature", "answer")),
    "self-verification": (("above",), ("samples", "temperature", "prompt", "model")),
    "learned": (("head", "above"), ()),
    "scope": ((), ("above",)),
    **CHECKS,
}
CALIBRATED = ("calibration", "on_drift", "window")


class AcceptSpec(CheckFields):
    """When a reply is trusted: a `score` at least `above`, or another way, named by `by`."""

    by: Literal[
        "score",
        "agreement",
        "self-verification",
        "learned",
        "scope",
        "pattern",
        "schema",
        "code",
        "function",
        "sums",
        "tests",
        "grounded",
        "cited",
        "verifier",
    ] = "score"
    score: str | None = None
    quantile: Share | None = None
    samples: Count | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    answer: Text | None = None
    prompt: Text | None = None
    head: Text | None = None
    calibration: Text | None = None
    on_drift: Literal["tell", "defer"] | None = None
    window: Annotated[int, Field(ge=20)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> AcceptSpec:
        needed, possible = WAYS[self.by]
        given = self.settings()
        if self.calibration is not None:
            if "above" not in (*needed, *possible):
                raise ValueError(f"accept by {self.by} has no threshold that a calibration could give")
            if self.above is not None:
                raise ValueError("accept takes `above` or `calibration`, not both")
            needed = tuple(name for name in needed if name != "above")
        elif self.on_drift is not None or self.window is not None:
            raise ValueError("`on_drift` and `window` need a `calibration` to tell drift by")
        fits("accept", self.by, WAYS, given, needed)
        return self

    def settings(self) -> dict[str, Any]:
        """Return what was given, without `by` and what belongs to a calibration."""
        return self.model_dump(exclude={"by", *CALIBRATED}, exclude_none=True)

    @property
    def score_of(self) -> dict[str, Any]:
        """What a threshold is of: a calibration of another score does not fit."""
        return {"by": self.by} | {key: value for key, value in self.settings().items() if key != "above"}


class CascadeSpec(Spec):
    """`small` first, `large` where its reply is not trusted; or `models`, two or more in order.

    `accept` says when a reply is trusted; where that differs between the models, `accepts` does, one for each but the
    last.
    """

    use: Literal["cascade"]
    small: Ref | None = None
    large: Ref | None = None
    models: list[Ref] = []
    accept: AcceptSpec | None = None
    accepts: list[AcceptSpec] = []

    @model_validator(mode="after")
    def _fits(self) -> CascadeSpec:
        pair = [one is not None for one in (self.small, self.large)]
        if (self.models and any(pair)) or not (self.models or all(pair)):
            raise ValueError("a cascade takes `small` and `large`, or `models`, a list of two or more")
        if len(self.names) < 2:
            raise ValueError("`models` of a cascade are two or more")
        if (self.accept is None) == (not self.accepts):
            raise ValueError("a cascade takes `accept`, or `accepts`, a list with one for each model but the last")
        if self.accepts and len(self.accepts) != len(self.names) - 1:
            raise ValueError(
                f"{len(self.names)} models need {len(self.names) - 1} in `accepts`, not {len(self.accepts)}"
            )
        return self

    @property
    def names(self) -> list[str]:
        """The models in order."""
        return self.models or [name for name in (self.small, self.large) if name is not None]

    @property
    def ways(self) -> list[AcceptSpec]:
        """What trusts each model's replies, the last one's apart."""
        return [self.accept] * (len(self.names) - 1) if self.accept else self.accepts
