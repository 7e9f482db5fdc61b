"""The tables of models that small ones align from behind: a corrector, the best of several by a reward model."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from pilotfish.assemble._spec import Count, From0, Ref, Spec, Text

__all__ = ["ALIGNED", "AlignedSpec", "BestOfNSpec", "RewardSpec"]


class RewardSpec(Spec):
    """A reward model's folder, as `pilotfish supervise reward` writes it; it scores answers and gives none."""

    use: Literal["reward"]
    path: Text


class AlignedSpec(Spec):
    """`model` answers and `corrector` rewrites; `template` is the one that it was taught with.

    With `draws`, or `others`, it makes one answer of several.
    """

    use: Literal["aligned"]
    model: Ref
    corrector: Ref
    template: Text | None = None
    max_tokens: Count = 512
    draws: Count = 1
    others: list[Ref] = []
    temperature: From0 = 0.7


class BestOfNSpec(Spec):
    """`model` answers `n` times, and `reward` picks: a reward model, or a classifier with one of its labels."""

    use: Literal["best-of-n"]
    model: Ref
    reward: Ref
    n: Count = 8
    temperature: From0 = 1.0
    label: Text | None = None

    @model_validator(mode="after")
    def _several(self) -> BestOfNSpec:
        if self.n > 1 and self.temperature == 0:
            raise ValueError("at temperature 0 all answers are the same: there is no best of them")
        return self


ALIGNED: dict[str, type[Spec]] = {"reward": RewardSpec, "aligned": AlignedSpec, "best-of-n": BestOfNSpec}
