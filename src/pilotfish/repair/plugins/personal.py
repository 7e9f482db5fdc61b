"""What is personal or secret: e-mail addresses, telephones, accounts, cards, IP addresses, keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilotfish.measure.personal import KINDS, check_kinds, found
from pilotfish.repair.protected import check_touch
from pilotfish.repair.spans import Context, Span
from pilotfish.repair.ways import Mends, Replace, Way

__all__ = ["Personal"]


@dataclass(frozen=True)
class Personal(Mends):
    """Puts `<EMAIL>` in place of an e-mail address, and so on; what was found stands in no trace.

    Attributes:
        kinds: what is looked for; see `pilotfish.measure.personal.KINDS`.
        told: whether what the question itself or a passage holds may be said again.
        way: what is done about them.
        touch: numbers by default, for telephones and accounts are such; code is left, so that a key in a fence stays
            unless `touch` names it.
        name: in traces.

    Raises:
        ConfigError: an unknown kind.
    """

    kinds: tuple[str, ...] = KINDS
    told: bool = False
    way: Way = Replace("<{kind}>")  # noqa: RUF009  # frozen
    touch: frozenset[str] = frozenset({"numbers"})
    name: str = "personal"

    def __post_init__(self) -> None:
        check_kinds(self.kinds)
        check_touch(self.touch)

    def detect(self, text: str, context: Context) -> Sequence[Span]:
        """Return the places."""
        known = "\n".join((context.question, *context.passages)) if self.told else ""
        return [
            Span(one.start, one.end, one.kind, 1.0, f"a place of kind {one.kind}")
            for one in found(text, self.kinds)
            if not known or text[one.start : one.end] not in known
        ]
