"""What several people said of a row: the one label that more than half of them gave, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pilotfish.errors import DataError
from pilotfish.rows._row import Row
from pilotfish.synthesize.labels.kind import Kind

__all__ = ["Heard", "hear", "own_columns"]


@dataclass
class Heard:
    """What came back from people.

    Attributes:
        rows: with the label in its column, ready as gold.
        passed: kind of reason -> records that give no label: nobody has labelled them, or people disagree.
    """

    rows: list[Row] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)


def hear(heard: Heard, kind: Kind, into: str, row: Row, said: Sequence[Any], where: str) -> None:
    """Add a row with what people said of it, as it stands in rows.

    Raises:
        DataError: a label that is none of the kind's.
    """
    if not said:
        heard.passed["no label"] += 1
        return
    try:
        counts = Counter(kind.value(one, row) for one in said)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    value, count = counts.most_common(1)[0]
    if 2 * count <= len(said):
        heard.passed["people disagree"] += 1
        return
    heard.rows.append({**row, into: kind.plain(value)})


def own_columns(row: Row, into: str) -> Row:
    """Return a row without what labelling added."""
    added = (into, f"{into}_confidence", f"{into}_votes", f"{into}_said", "synthesis")
    return {name: value for name, value in row.items() if name not in added}
