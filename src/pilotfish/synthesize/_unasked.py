"""What stands where calls would be, in a synthesis that asks nobody."""

from __future__ import annotations

from collections.abc import Sequence

from pilotfish.model import Reply, Request
from pilotfish.rows.asking import Bill

__all__ = ["NOBODY", "Unasked"]

NOBODY = "no model"


class Unasked:
    """Answers every request with an empty reply, for nothing; see `Calls`, whose attributes it has."""

    name = NOBODY
    asked = taken = 0
    spent = False

    def __init__(self) -> None:
        self.model, self.bill = self, Bill()

    async def replies(self, requests: Sequence[Request], *, progress: bool = True) -> list[Reply]:
        """Return an empty reply a request."""
        return [Reply("")] * len(requests)

    def close(self) -> None:
        """Do nothing."""
