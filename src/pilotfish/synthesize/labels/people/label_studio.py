"""Label Studio: tasks with predictions out, its JSON export in.

The formats are those of its guides "Import pre-annotated data" and "Label Studio JSON format of annotated tasks", and
of its tags Choices, Labels, Rating, Number and Pairwise. A tie, which Pairwise does not have, is a choice beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._row import Row
from pilotfish.synthesize.labels.kind import Kind
from pilotfish.synthesize.labels.people._said import Heard, hear, own_columns
from pilotfish.synthesize.labels.preference import Preference
from pilotfish.synthesize.labels.score import Score
from pilotfish.synthesize.labels.votes import Labelled

__all__ = ["config_of", "from_label_studio", "to_label_studio"]

_STARS = 10  # the longest row of stars
_TYPES = {"choice": ("choices",), "several": ("choices",), "spans": ("labels", "hypertextlabels")}
_SIDES = {"left": "first", "right": "second"}
_TIE = "tie"


def to_label_studio(kind: Kind, into: str, rows: Iterable[Labelled], model: str) -> list[dict[str, Any]]:
    """Return tasks, one a row; `data` is the row, and what the model said of it is a prediction.

    Args:
        kind: of the labels.
        into: the label's column, and the name of the control that sets it.
        rows: what people are asked about.
        model: who labelled, for `model_version`.
    """
    # Of a pair it is the first: the page finds a result by its control, and an import takes one object's name alone.
    to = _columns(kind)[0] if not isinstance(kind, Preference) else kind.first
    found = []
    for one in rows:
        task: dict[str, Any] = {"data": dict(one.row)}
        if one.value is not None:
            result = [
                {"id": f"{one.number}-{i}", "from_name": name, "to_name": to, "type": form, "value": value}
                for i, (name, form, value) in enumerate(_results(kind, into, one.value))
            ]
            score = {} if one.confidence is None else {"score": one.confidence}
            task["predictions"] = [{"model_version": model, **score, "result": result}]
        found.append(task)
    return found


def config_of(kind: Kind, into: str) -> str:
    """Return the project's labelling configuration, in the XML that the tasks go with."""
    columns = _columns(kind)
    texts = [f"  <Text name={quoteattr(name)} value={quoteattr('$' + name)}/>" for name in columns]
    name, to = quoteattr(into), quoteattr(_to(kind))
    labels = getattr(kind, "labels", {})
    if kind.name == "spans":
        controls = [f"  <Labels name={name} toName={to}>", *_options("Label", labels), "  </Labels>"]
    elif isinstance(kind, Preference):
        controls = [f"  <Pairwise name={name} toName={to}/>"]
        if kind.ties:
            tie = f"  <Choices name={quoteattr(into + '_tie')} toName={quoteattr(kind.first)}>"
            controls += [tie, *_options("Choice", [_TIE]), "  </Choices>"]
    elif isinstance(kind, Score):
        if _stars(kind):
            controls = [f'  <Rating name={name} toName={to} maxRating="{kind.high:g}"/>']
        else:
            controls = [f'  <Number name={name} toName={to} min="{kind.low:g}" max="{kind.high:g}"/>']
    else:
        many = ' choice="multiple"' if kind.name == "several" else ""
        controls = [f"  <Choices name={name} toName={to}{many}>", *_options("Choice", labels), "  </Choices>"]
    return "\n".join(["<View>", *texts, *controls, "</View>"]) + "\n"


def from_label_studio(kind: Kind, into: str, exported: Any) -> Heard:
    """Return what people said, of an export as JSON.

    Annotations that were skipped do not count. Of several people's the label that more than half of them gave is
    taken, and a row on which they disagree is passed over and counted.

    Raises:
        DataError: no such export, or a label that is none of the kind's.
    """
    if not isinstance(exported, list) or not all(isinstance(task, Mapping) and "data" in task for task in exported):
        raise DataError('no export of Label Studio as JSON: a list of tasks with "data" and "annotations" is needed')
    heard = Heard()
    for task in exported:
        row = own_columns(dict(task["data"]), into)
        said = []
        for annotation in task.get("annotations") or ():
            if annotation.get("was_cancelled"):
                continue
            value = _read(kind, into, annotation.get("result") or (), row)
            if value is not None:
                said.append(value)
        hear(heard, kind, into, row, said, f"task {task.get('id', '?')}")
    return heard


def _results(kind: Kind, into: str, value: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (control, type, value) of what a label is made of."""
    if kind.name == "choice":
        return [(into, "choices", {"choices": [value]})]
    if kind.name == "several":
        return [(into, "choices", {"choices": list(value)})] if value else []
    if kind.name == "spans":
        return [
            (into, "labels", {**{key: span[key] for key in ("start", "end", "text")}, "labels": [span["label"]]})
            for span in value
        ]
    if isinstance(kind, Score):
        stars = _stars(kind)
        return [(into, "rating", {"rating": round(value)}) if stars else (into, "number", {"number": value})]
    if value == _TIE:
        return [(f"{into}_tie", "choices", {"choices": [_TIE]})]
    return [(into, "pairwise", {"selected": next(side for side, which in _SIDES.items() if which == value)})]


def _read(kind: Kind, into: str, results: Sequence[Mapping[str, Any]], row: Row) -> Any:
    """Return the label that an annotation gives, as it stands in rows; None where it gives none.

    The control of the label's name counts where there is one; in a project made by hand, whatever is of its type.
    """
    own = [one for one in results if one.get("from_name") in (into, f"{into}_tie")] or list(results)
    if kind.name == "spans":
        text = str(row.get(kind.text[0], ""))
        values = [one["value"] for one in own if one.get("type") in _TYPES["spans"]]
        return [
            {**_placed(text, value), "label": label}
            for value in values
            for label in value.get("labels") or value.get("hypertextlabels") or ()
        ]
    for one in own:
        value = one.get("value") or {}
        if isinstance(kind, Score) and ("rating" in value or "number" in value):
            return value.get("rating", value.get("number"))
        if isinstance(kind, Preference):
            if value.get("choices") == [_TIE]:
                return _TIE
            if value.get("selected") in _SIDES:
                return _SIDES[value["selected"]]
        elif kind.name == "choice" and value.get("choices"):
            return value["choices"][0]
        elif kind.name == "several" and "choices" in value:
            return list(value["choices"])
    # Whoever submits without a tick says that no label fits.
    return [] if kind.name == "several" else None


def _placed(text: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a span in characters: some versions count half of a surrogate pair as one, as browsers do."""
    start, end = int(value["start"]), int(value["end"])
    said = value.get("text")
    if said is not None and text[start:end] != said:
        units = text.encode("utf-16-le")
        a, b = (len(units[: 2 * at].decode("utf-16-le", "ignore")) for at in (start, end))
        if text[a:b] == said:
            start, end = a, b
    return {"start": start, "end": end, **({} if said is None else {"text": said})}


def _columns(kind: Kind) -> list[str]:
    columns = [*kind.text, *((kind.first, kind.second) if isinstance(kind, Preference) else ())]
    for name in columns:
        if not re.fullmatch(r"\w+", name):
            raise ConfigError(f"Label Studio names columns by letters, digits and _: rename {name!r}")
    return columns


def _to(kind: Kind) -> str:
    return f"{kind.first},{kind.second}" if isinstance(kind, Preference) else kind.text[0]


def _stars(kind: Score) -> bool:
    return kind.whole and kind.low in (0, 1) and kind.high <= _STARS


def _options(tag: str, names: Iterable[str]) -> list[str]:
    return [f"    <{tag} value={quoteattr(name)}/>" for name in names]
