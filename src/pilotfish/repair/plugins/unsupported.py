"""Places that the evidence does not bear out, by a detector of spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilotfish.errors import ConfigError
from pilotfish.repair.protected import check_touch, code
from pilotfish.repair.spans import Context, Span
from pilotfish.repair.tokens.detector import SpanDetector
from pilotfish.repair.tokens.rows import Answered
from pilotfish.repair.ways import Mark, Mends, Way

__all__ = ["Unsupported"]

_BEFORE = 600  # characters of the answer before a sentence that are read with it


@dataclass(frozen=True)
class Unsupported(Mends):
    """Finds what a detector calls a fault, sentence by sentence, each read with what stands before it.

    An answer that nothing was told for is not looked at, unless the detector was taught without evidence (`alone`).

    Attributes:
        detector: taught by `pilotfish repair train`.
        above: the least score that is a fault; None takes the detector's own threshold.
        alone: look at answers without evidence too.
        way: what is done about them.
        touch: neither numbers nor code by default: a sentence with a number is marked or left, not removed.
        name: in traces.

    Raises:
        ConfigError: a threshold out of range.
    """

    detector: SpanDetector
    above: float | None = None
    alone: bool = False
    way: Way = Mark()  # noqa: RUF009  # frozen
    touch: frozenset[str] = frozenset()
    name: str = "unsupported"

    def __post_init__(self) -> None:
        check_touch(self.touch)
        if self.above is not None and not 0 < self.above <= 1:
            raise ConfigError(f"{self.name}: above lies between 0 and 1, not {self.above}")

    def detect(self, text: str, context: Context) -> Sequence[Span]:
        """Return the places."""
        if not context.passages and not self.alone:
            return []
        tail = context.before[-_BEFORE:]
        if len(tail) < len(context.before):
            # A word that is cut is another word.
            tail = tail[len(tail.split(maxsplit=1)[0]) if tail.split(maxsplit=1) else 0 :]
        lead = f"{tail.rstrip()} " if tail.strip() else ""
        row = Answered(lead + text, "\n\n".join(context.passages), context.question, before=len(lead))
        (judged,) = self.detector.judge([row])
        held = code(text)
        threshold = self.detector.threshold_ if self.above is None else self.above
        why = "borne out by nothing it was told" if context.passages else "likely made up"
        return [
            Span(start - len(lead), end - len(lead), self.name, min(1.0, score), why)
            for start, end, score in judged.spans(threshold)
            if not any(a < end - len(lead) and start - len(lead) < b for a, b in held)
        ]
