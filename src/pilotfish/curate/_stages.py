"""Steps as stages of a run: rows travel with a mark, so that those that were dropped are written with the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotfish.curate.barrier import Barrier, Decide
from pilotfish.curate.sift import Dropped
from pilotfish.rows._json import shown
from pilotfish.rows._row import Row, Rows
from pilotfish.rows.stage import Outcome, Reject, Stage, flattened

__all__ = ["Decided", "Enter", "Through", "title_of"]

ROW, NUMBER, DROPPED = "row", "number", "dropped"


def title_of(number: int, title: str) -> str:
    """Return what the stage of a step is called in the runner's files: two steps may be of one kind."""
    return f"{number} {title}"


class Enter(Stage):
    """Puts each row of the input into a cover, beside which there is room for marks.

    Half a surrogate pair has no form that could be read back: from a file no such row comes, from a list it is bad.
    """

    batch_size = 1024

    def process(self, rows: Rows) -> list[Outcome]:
        """Return the covered rows."""
        return [{ROW: row} if _is_whole(row) else Reject("half a surrogate pair: no file can hold it") for row in rows]


class Through(Stage):
    """A step's own stage, over the rows that no earlier step has dropped.

    Args:
        stage: the step's.
        number: of the step, from 1.
        title: of the step.
    """

    def __init__(self, stage: Stage, number: int, title: str) -> None:
        self.stage, self.number, self.name = stage, number, title
        self.batch_size = stage.batch_size

    @property
    def title(self) -> str:
        """The step."""
        return title_of(self.number, self.name)

    def setup(self) -> None:
        """Begin a new report of the step's stage."""
        self.stage.begin()

    def close(self) -> None:
        """End the step's stage."""
        self.stage.end()

    def config(self) -> dict[str, Any]:
        """Return the step's settings."""
        kind = f"{type(self.stage).__module__}.{type(self.stage).__qualname__}"
        return {"number": self.number, "class": kind, **self.stage.config()}

    def process(self, rows: Rows) -> list[Outcome]:
        """Return every row, marked where the step has dropped it."""
        live = [place for place, row in enumerate(rows) if DROPPED not in row]
        found: list[Outcome] = list(rows)
        for place, outcome in zip(live, self.stage.outcomes([rows[place][ROW] for place in live]), strict=True):
            found[place] = self._of(rows[place], outcome)
        return found

    def _of(self, row: Row, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Dropped):
            return marked(row, self.number, outcome)
        if isinstance(outcome, Reject):
            return outcome
        left = flattened(outcome)
        if not left:
            return marked(row, self.number, Dropped(f"{self.name}: filtered out"))
        return [{**row, ROW: one} for one in left]


class Decided(Stage):
    """What a barrier found, over the rows that reached it.

    Args:
        barrier: the step.
        decide: what its look has given.
        number: of the step, from 1.
    """

    batch_size = 1024

    def __init__(self, barrier: Barrier, decide: Decide, number: int) -> None:
        self.barrier, self.number, self._decide = barrier, number, decide

    @property
    def title(self) -> str:
        """The step."""
        return title_of(self.number, self.barrier.title)

    def config(self) -> dict[str, Any]:
        """Return the step's settings, which decide what was found."""
        return {"number": self.number, "class": type(self.barrier).__qualname__, **self.barrier.config()}

    def process(self, rows: Rows) -> list[Outcome]:
        """Return every row, marked where the step has dropped it."""
        found: list[Outcome] = []
        for row in rows:
            judged = self._decide(int(row[NUMBER]), row[ROW])
            if isinstance(judged, Dropped):
                found.append(marked(row, self.number, judged))
            else:
                found.append({**row, ROW: {**row[ROW], **judged}})
        return found


def marked(row: Row, number: int, why: Dropped) -> Row:
    """Return a covered row with the mark of the step that dropped it."""
    inner: Mapping[str, Any] = {**row[ROW], **why.columns}
    return {**row, ROW: inner, DROPPED: {"step": number, "reason": why.reason}}


def _is_whole(row: Row) -> bool:
    try:
        for value in row.values():
            # What is no text may hold texts.
            (value if isinstance(value, str) else shown(value)).encode()
    except UnicodeEncodeError:
        return False
    return True
