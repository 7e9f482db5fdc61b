"""What was said of a row: its answers as they come in, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence

from pilotfish.errors import DataError
from pilotfish.model import Reply
from pilotfish.models.calls import Failure
from pilotfish.rows._row import Row
from pilotfish.synthesize.labels.calibrating import debiased
from pilotfish.synthesize.labels.kind import Joined, Kind, Opinion
from pilotfish.synthesize.labels.reading import answered, chosen

__all__ = ["Asked", "unbias"]


class Asked:
    """What was said of one row.

    Args:
        where: "gold" or "row".
        number: of the row, from 0.
        row: the row.
        first: the number of its first prompt in the round.

    Attributes:
        opinions: variant -> one an answer; None for an answer that could not be read.
        said: the answers.
        faults: why some could not be read, or are not there.
        failed: the failure after which another run would ask on; None where there is none.
    """

    def __init__(self, where: str, number: int, row: Row, first: int) -> None:
        self.where, self.number, self.row, self.first = where, number, row, first
        self.opinions: dict[str, list[Opinion | None]] = {}
        self.said: list[str] = []
        self.faults: list[str] = []
        self.failed: Failure | None = None

    def hear(self, kind: Kind, by: str, variant: str, reply: Reply | Failure) -> None:
        """Take an answer in."""
        opinion: Opinion | None = None
        if isinstance(reply, Failure):
            self.faults.append(reply.reason)
            # Of a row that another run would ask on about, no label is made of half its answers.
            if reply.again and self.failed is None:
                self.failed = reply
        else:
            self.said.append(reply.text)
            try:
                if by == "probability":
                    opinion = chosen(kind, variant, reply)
                else:
                    opinion = answered(kind, self.row, variant, reply)
            except DataError as error:
                self.faults.append(str(error))
        self.opinions.setdefault(variant, []).append(opinion)

    def joined(self, kind: Kind) -> Joined | None:
        """Return what the answers come to; None where of one way of asking none could be read."""
        if any(all(one is None for one in given) for given in self.opinions.values()):
            return None
        if len(self.opinions) < len(kind.variants):
            return None
        return kind.join(self.opinions)


def unbias(asked: Sequence[Asked]) -> None:
    """Divide the probabilities of all rows by their means, one way of asking after the other; see `debiased`."""
    places = [(one, variant, i) for one in asked for variant, given in one.opinions.items() for i in range(len(given))]
    for variant in {variant for _, variant, _ in places}:
        own = [(one, i) for one, name, i in places if name == variant and one.opinions[name][i] is not None]
        opinions = [opinion for one, i in own if (opinion := one.opinions[variant][i]) is not None]
        for (one, i), opinion in zip(own, debiased(opinions), strict=True):
            one.opinions[variant][i] = opinion
