"""Candidates with their references, one or several of each."""

from __future__ import annotations

from collections.abc import Sequence

from pilotfish.errors import DataError

__all__ = ["paired"]


def paired(candidates: Sequence[str], references: Sequence[str | Sequence[str]]) -> list[tuple[str, tuple[str, ...]]]:
    """Return each candidate with its references, each of them once, without space around them.

    Raises:
        DataError: another number of references than of candidates, or a row without any.
    """
    if len(candidates) != len(references):
        raise DataError(f"{len(candidates)} candidates, {len(references)} references")
    rows = []
    for number, (mine, theirs) in enumerate(zip(candidates, references, strict=True), 1):
        some = (theirs,) if isinstance(theirs, str) else tuple(theirs)
        if not some:
            raise DataError(f"row {number}: no reference")
        rows.append((mine.strip(), tuple(dict.fromkeys(one.strip() for one in some))))
    return rows
