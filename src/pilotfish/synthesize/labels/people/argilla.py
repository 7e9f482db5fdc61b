"""Argilla: records with suggestions out, its exported records in (`Dataset.records.to_json`, version 2).

A choice is a LabelQuestion, several are a MultiLabelQuestion, spans a SpanQuestion, a preference a LabelQuestion of
"first", "second" and "tie", and a score a RatingQuestion, or, where its scale is not of whole numbers from 0 to 10, a
TextQuestion; the question's name is the label's column.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pilotfish.errors import DataError
from pilotfish.rows._json import plain
from pilotfish.synthesize.labels.kind import Kind, text_of
from pilotfish.synthesize.labels.people._said import Heard, hear, own_columns
from pilotfish.synthesize.labels.preference import Preference
from pilotfish.synthesize.labels.score import Score
from pilotfish.synthesize.labels.votes import Labelled

__all__ = ["from_argilla", "to_argilla"]

_STARS = 10  # what a RatingQuestion goes up to
_ROW = "row"  # the metadata that holds the whole row: fields are texts alone


def to_argilla(kind: Kind, into: str, rows: Iterable[Labelled], model: str) -> list[dict[str, Any]]:
    """Return records as `Record.from_dict` takes them; what the model said is a suggestion.

    Args:
        kind: of the labels.
        into: the label's column, and the question's name.
        rows: what people are asked about.
        model: who labelled, for `agent`.
    """
    columns = [*kind.text, *((kind.first, kind.second) if isinstance(kind, Preference) else ())]
    found = []
    for one in rows:
        suggestions: dict[str, Any] = {}
        if one.value is not None:
            suggestions[into] = {"value": _suggested(kind, one.value), "score": one.confidence, "agent": model}
        found.append(
            {
                "id": str(one.number),
                "fields": {name: text_of(one.row, name) for name in columns},
                "metadata": {_ROW: json.dumps(one.row, ensure_ascii=False, default=plain)},
                "suggestions": suggestions,
                "responses": {},
                "vectors": {},
            }
        )
    return found


def from_argilla(kind: Kind, into: str, exported: Any) -> Heard:
    """Return what people said, of exported records.

    Drafts and discarded responses do not count. Of several people's the label that more than half of them gave is
    taken, and a row on which they disagree is passed over and counted.

    Raises:
        DataError: no such export, or a label that is none of the kind's.
    """
    if not isinstance(exported, list) or not all(isinstance(one, Mapping) and "fields" in one for one in exported):
        raise DataError('no exported records of Argilla: a list of objects with "fields" and "responses" is needed')
    heard = Heard()
    for record in exported:
        stored = (record.get("metadata") or {}).get(_ROW)
        row = json.loads(stored) if isinstance(stored, str) else dict(record["fields"])
        said = [
            _read(kind, one["value"])
            for one in (record.get("responses") or {}).get(into) or ()
            if one.get("status") not in ("draft", "discarded")
        ]
        hear(heard, kind, into, own_columns(row, into), said, f"record {record.get('id', '?')}")
    return heard


def _suggested(kind: Kind, value: Any) -> Any:
    if isinstance(kind, Score):
        return round(value) if kind.whole and kind.low >= 0 and kind.high <= _STARS else f"{value:g}"
    if kind.name == "spans":
        return [{key: span[key] for key in ("start", "end", "label")} for span in value]
    return value


def _read(kind: Kind, value: Any) -> Any:
    if kind.name == "spans":
        return [{key: span[key] for key in ("start", "end", "label")} for span in value]
    return value
