"""What a distillation did, and how near the student came to its teacher."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.measure.intervals import Interval

if TYPE_CHECKING:
    from pilotfish.distill.compare import Nearness
    from pilotfish.distill.rows import Parts
    from pilotfish.models.local import LocalModel
    from pilotfish.train.loop import Fitted

__all__ = ["Distilled", "Figure"]


@dataclass(frozen=True)
class Figure:
    """A figure of the held-out rows before and after, a mean over tokens, and its gain (after - before).

    The gain's interval is a paired bootstrap over examples.
    """

    before: float
    after: float
    gain: Interval


@dataclass(frozen=True)
class Distilled:
    """What a distillation did.

    Attributes:
        student: the weights it began with.
        teacher: the teacher's weights; None where only its answers were there.
        folder: the result's.
        loss: the loss in words.
        rows: rows trained on.
        held_out: rows measured on.
        refused: rows that gave no example.
        tokens: tokens in the loss, over all steps.
        steps: taken.
        seconds: spent.
        parameters: the student's weights.
        licence: of the weights it began with.
        figures: "cross_entropy" and "divergence" in nats a token, "agreement" (the share of tokens of which student
            and teacher think the same likeliest).
        processes: that shared the steps.
        answers_of: who gave the answers that were learnt, where a teacher's name is known and its weights are not here.
    """

    student: str
    teacher: str | None
    folder: str
    loss: str
    rows: int
    held_out: int
    refused: int
    tokens: int
    steps: int
    seconds: float
    parameters: int
    licence: str
    figures: dict[str, Figure]
    processes: int = 1
    answers_of: str | None = None

    @classmethod
    def of(
        cls,
        student: str | Path,
        teacher: str | Path | None,
        folder: Path,
        loss: str,
        *,
        parts: Parts,
        fitted: Fitted,
        before: Nearness,
        after: Nearness,
        local: LocalModel,
        answers_of: str | None = None,
    ) -> Distilled:
        """Return the report of a run."""
        return cls(
            student=str(student),
            teacher=None if teacher is None else str(teacher),
            folder=str(folder),
            loss=loss,
            rows=len({one.row for one in parts.train}),
            held_out=len({one.row for one in parts.held_out}),
            refused=len(parts.refused),
            tokens=fitted.tokens,
            steps=fitted.steps,
            seconds=fitted.seconds,
            parameters=local.parameters,
            licence=local.licence,
            figures={
                name: Figure(before.mean(name), after.mean(name), after.gain(name, before)) for name in before.figures
            },
            processes=fitted.processes,
            answers_of=answers_of,
        )

    @property
    def perplexity(self) -> tuple[float, float]:
        """Of the held-out data, before and after."""
        figure = self.figures["cross_entropy"]
        return math.exp(figure.before), math.exp(figure.after)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Distilled:
        """Return what `to_json` gave."""
        figures = {
            name: Figure(one["before"], one["after"], Interval(**one["gain"])) for name, one in told["figures"].items()
        }
        return cls(**{**told, "figures": figures})

    def __str__(self) -> str:
        told = (
            f"{self.folder}: {self.tokens:,} tokens of {self.rows} rows in {self.steps} steps, {self.seconds:.0f} s; "
            f"on {self.held_out} held-out rows: "
        )
        if self.teacher is not None:
            agreement, apart = self.figures["agreement"], self.figures["divergence"]
            told += (
                f"agreement {agreement.before:.3f} -> {agreement.after:.3f} ({_gain(agreement)}), KL to the teacher "
                f"{apart.before:.3f} -> {apart.after:.3f} nats a token ({_gain(apart)}), "
            )
        crossed = self.figures["cross_entropy"]
        return told + (
            f"perplexity {self.perplexity[0]:.2f} -> {self.perplexity[1]:.2f} ({_gain(crossed)} nats a token)"
        )


def _gain(figure: Figure) -> str:
    return f"{figure.gain.value:+.3f} [{figure.gain.low:.3f}, {figure.gain.high:.3f}]"
