"""Pairs of records, labelled or not, and how a record becomes a text.

Source of the serialised form: Li et al. 2020 (Ditto), section 2.2: COL name VAL value, one column behind the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotfish.errors import DataError

__all__ = ["Pair", "Record", "ditto_pairs", "pairs_of", "record_of", "serialised"]

Record = Mapping[str, str]
_COLUMN = re.compile(r"(?:^|\s)COL\s+(.*?)\s+VAL(?=\s|$)")
_PREFIXES = (("left_", "right_"), ("ltable_", "rtable_"))
_TRUE = {"1": True, "0": False, "true": True, "false": False}


@dataclass(frozen=True)
class Pair:
    """Two records: a mapping of columns to texts each, "" where there is no value; `same` where that is known."""

    left: Record
    right: Record
    same: bool | None = None


def serialised(record: Record) -> str:
    """Return a record as a text."""
    return " ".join(f"COL {name} VAL {value}".rstrip() for name, value in record.items())


def record_of(row: Mapping[str, Any]) -> dict[str, str]:
    """Return a row's values as texts; what is missing is ""."""
    return {str(name): "" if value is None else str(value).strip() for name, value in row.items()}


def ditto_pairs(path: str | Path) -> list[Pair]:
    """Read a file of Ditto's: left record, right record, 0 or 1, with tabs between.

    Raises:
        DataError: it cannot be read, or a line is no such pair; the line is named.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        parts = line.split("\t")
        if len(parts) != 3 or parts[2].strip() not in ("0", "1"):
            raise DataError(f"{path}, line {number}: a pair is two records and 0 or 1, with tabs between")
        left, right = (_parsed(part) for part in parts[:2])
        if not left or not right:
            raise DataError(f"{path}, line {number}: a record is COL name VAL value, one behind the other")
        found.append(Pair(left, right, parts[2].strip() == "1"))
    return found


def pairs_of(rows: Iterable[Mapping[str, Any]], where: str, label: str = "label") -> list[Pair]:
    """Read rows: `left` and `right` as objects, or a column each with the prefixes `left_` and `right_`.

    Args:
        rows: with `label` as 0, 1, true or false where it is known.
        where: for errors.
        label: the column.

    Raises:
        DataError: a row without two records, or with another label; it is named.
    """
    found = []
    for number, row in enumerate(rows, 1):
        here = f"{where}, row {number}"
        left, right = row.get("left"), row.get("right")
        if not (isinstance(left, Mapping) and isinstance(right, Mapping)):
            for one, other in _PREFIXES:
                left = {name[len(one) :]: value for name, value in row.items() if name.startswith(one)}
                right = {name[len(other) :]: value for name, value in row.items() if name.startswith(other)}
                if left and right:
                    break
        if not left or not right:
            raise DataError(
                f"{here}: a pair has 'left' and 'right', objects or columns that begin with left_ and right_"
            )
        told = row.get(label)
        if told is not None and str(told).strip().lower() not in _TRUE:
            raise DataError(f"{here}: {label!r} is {told!r}: 1 for records of the same thing, 0 for others")
        same = None if told is None else _TRUE[str(told).strip().lower()]
        found.append(Pair(record_of(left), record_of(right), same))
    return found


def labels_of(pairs: Iterable[Pair], where: str = "the pairs") -> list[bool]:
    """Return the labels of pairs that all have one.

    Raises:
        DataError: one has none.
    """
    found = []
    for number, pair in enumerate(pairs, 1):
        if pair.same is None:
            raise DataError(f"{where}: pair {number} has no label: whether its records are of the same thing")
        found.append(pair.same)
    return found


def _parsed(text: str) -> dict[str, str]:
    marks = list(_COLUMN.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)] if marks else []
    return {mark.group(1): text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)}
