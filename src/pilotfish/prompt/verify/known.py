"""What a verifier learns from, and what is known of it afterwards."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pilotfish.measure.accepted import AcceptedSet
from pilotfish.measure.intervals import Interval

__all__ = ["Judgement", "Known"]


@dataclass(frozen=True)
class Judgement:
    """An answer that somebody graded.

    Attributes:
        prompt: what was asked.
        answer: the answer.
        right: whether it is right.
    """

    prompt: str
    answer: str
    right: bool


@dataclass(frozen=True)
class Known:
    """What a verifier learnt from, and what it is worth on answers to other prompts.

    Attributes:
        rows: that it learnt from.
        held_out: answers that it is measured on.
        right: the share of them that is right.
        area: under the ROC curve: how often a right answer's score is above a wrong one's.
        by_logprob: the same of the mean log-probability of the answer's tokens; None where an encoder reads.
        gain: the first less the second, paired.
        curve: accuracy of the accepted set by its share.
        c: the inverse penalty that was chosen.
    """

    rows: int
    held_out: int
    right: float
    area: Interval | None
    by_logprob: Interval | None
    gain: Interval | None
    curve: tuple[AcceptedSet, ...]
    c: float

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Known:
        """Read what `to_json` gave."""
        ends = {name: Interval(**told[name]) if told[name] else None for name in ("area", "by_logprob", "gain")}
        curve = tuple(AcceptedSet(one["share"], one["above"], Interval(**one["accuracy"])) for one in told["curve"])
        return cls(**{**told, **ends, "curve": curve})

    def __str__(self) -> str:
        said = f"{self.rows:,} answers; of {self.held_out:,} to other prompts {self.right:.3f} are right"
        if self.area is None:
            return said
        said += f", area {self.area:.3f}"
        if self.by_logprob is not None:
            said += f" (log-probability {self.by_logprob:.3f}, {self.gain:+.3f})"
        half = next((one for one in self.curve if one.share == 0.5), None)
        return said if half is None else f"{said}; of the best half {half.accuracy:.3f} are right"
