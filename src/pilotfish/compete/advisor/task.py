"""A task whose answers are text: what is asked of each row, what a good answer is, and rows that are held out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Message, Request
from pilotfish.rows._row import Row, need_columns
from pilotfish.rows.dedupe import near_duplicates
from pilotfish.rows.model_stage import Template
from pilotfish.rows.split import split

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SHARES", "AnswerTask", "Kind", "answer_task", "schema_of"]

Kind = Literal["generation", "extraction", "retrieval"]
SHARES = {"train": 0.4, "calibrate": 0.2, "test": 0.4}
NEAR = 0.8
MAX_DEDUPE = 20_000
MIN_ROWS = 30
_MOST = {"calibrate": 200, "test": 1000}
_READ = (
    "Read the text and write a JSON object with the keys {keys}. A value stands in the text as it is written there; "
    "where the text says several, they are a list; where it says none, the value is null.\n\nText: "
)


@dataclass(frozen=True, eq=False)
class AnswerTask:
    """What is asked, split before anything learns.

    Attributes:
        kind: generation, extraction (a JSON object of fields), or retrieval (the answers stand in documents).
        rows: all of them, the test rows last.
        prompt: a template over the columns.
        system: a template of the system turn, or None.
        gold: the column of the right answer; None of extraction, whose right answers are the columns `fields`, and
            where a judge needs none.
        fields: of extraction.
        settings: further fields of each request.
        train, calibrate, test: row numbers: to learn from, to choose by, to measure on.
        notes: what was done with the rows.
    """

    kind: Kind
    rows: list[Row]
    prompt: str
    system: str | None
    gold: str | None
    fields: tuple[str, ...]
    settings: Mapping[str, Any]
    train: NDArray[np.int64]
    calibrate: NDArray[np.int64]
    test: NDArray[np.int64]
    notes: tuple[str, ...] = field(default_factory=tuple)

    @cached_property
    def requests(self) -> list[Request]:
        """What is asked of each row."""
        prompt, system = Template(self.prompt), None if self.system is None else Template(self.system)
        found = []
        for row in self.rows:
            messages = [Message("user", prompt.fill(row))]
            if system is not None:
                messages.insert(0, Message("system", system.fill(row)))
            found.append(Request(tuple(messages), **self.settings))
        return found

    def right(self, row: int) -> str | None:
        """Return the right answer of a row as a model would write it; None where there is none."""
        held = self.rows[row]
        if self.fields:
            return json.dumps({name: _value(held.get(name)) for name in self.fields}, ensure_ascii=False)
        value = None if self.gold is None else held.get(self.gold)
        if isinstance(value, list | tuple):
            value = value[0] if value else None
        return None if value is None or value == "" else str(value)

    def examples(self) -> list[Row]:
        """Return the training rows that have a right answer, as {input, output}."""
        found: list[Row] = []
        for row in self.train.tolist():
            right = self.right(row)
            if right is not None:
                found.append({"input": self.requests[row].prompt, "output": right})
        return found


def answer_task(
    rows: Sequence[Mapping[str, Any]],
    kind: Kind,
    *,
    prompt: str | None = None,
    text: str | None = None,
    gold: str | None = None,
    fields: Sequence[str] = (),
    system: str | None = None,
    test: Sequence[Mapping[str, Any]] | None = None,
    max_tokens: int = 128,
    seed: int = 0,
) -> AnswerTask:
    """Make a task of rows.

    Near-duplicates never straddle two parts. With `test`, those rows are the test.

    Args:
        rows: what is known.
        kind: see `AnswerTask`.
        prompt: a template over the columns, as "Summarise: {text}"; extraction has one of its own.
        text: of extraction without a prompt, the column that is read.
        gold: the column of the right answer.
        fields: of extraction, the columns of the right values: text, a list, or nothing.
        system: a template of the system turn.
        test: rows that are held out.
        max_tokens: of an answer.
        seed: of the split.

    Raises:
        ConfigError: no way to ask, or settings of another kind.
        DataError: too few rows, or a column is missing.
    """
    if kind not in get_args(Kind):
        raise ConfigError(f"a task of answers is one of {', '.join(get_args(Kind))}, not {kind!r}")
    if (kind == "extraction") != bool(fields):
        raise ConfigError("`fields`, the columns of the right values, are given for extraction, and for nothing else")
    if prompt is None:
        if not fields or text is None:
            raise ConfigError('a task of answers needs a `prompt` over the columns, such as "Summarise: {text}"')
        keys = ", ".join(json.dumps(name, ensure_ascii=False) for name in fields)
        prompt = _READ.format(keys=keys).replace("{", "{{").replace("}", "}}") + "{" + text + "}"
    kept = [dict(row) for row in rows]
    extra = [dict(row) for row in test or ()]
    for part, what in ((kept, "the rows"), (extra, "the test rows")):
        if part:
            need_columns(part[0], *Template(prompt).columns, *fields, *([gold] if gold else []), source=what)
    if len(kept) + len(extra) < MIN_ROWS:
        raise DataError(f"{len(kept) + len(extra)} rows: at least {MIN_ROWS} are needed to choose and to measure")
    settings: dict[str, Any] = {"max_tokens": max_tokens, "temperature": 0.0}
    if fields:
        schema = {"name": "fields", "schema": schema_of(fields), "strict": True}
        settings["response_format"] = {"type": "json_schema", "json_schema": schema}
    notes: list[str] = []
    parts = _parts(kept, extra, prompt, seed, notes)
    return AnswerTask(kind, kept + extra, prompt, system, gold, tuple(fields), settings, *parts, notes=tuple(notes))


def schema_of(fields: Sequence[str]) -> dict[str, Any]:
    """Return the JSON schema of an object whose values are texts, lists of texts, or null."""
    one = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}, {"type": "null"}]}
    return {
        "type": "object",
        "properties": dict.fromkeys(fields, one),
        "required": list(fields),
        "additionalProperties": False,
    }


def _parts(
    rows: list[Row], test: list[Row], prompt: str, seed: int, notes: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the row numbers of the three parts: no near-duplicate of a row is in another part."""
    # Of the columns alone: the words of the prompt, which all share, would make each row like any other.
    columns = Template(prompt).columns
    texts = [" ".join(str(row.get(name)) for name in columns) for row in rows + test]
    group = np.arange(len(texts))
    if len(texts) <= MAX_DEDUPE:
        group = np.asarray(near_duplicates(texts, NEAR).group)
    else:
        notes.append(f"near-duplicates are not searched for among more than {MAX_DEDUPE:,} rows")
    if test:
        held = set(group[len(rows) :].tolist())
        free = np.array([i for i in range(len(rows)) if int(group[i]) not in held], np.int64)
        if len(free) < len(rows):
            notes.append(f"{len(rows) - len(free):,} rows are near-duplicates of test rows and are not learnt from")
        if len(free) < 2:
            raise DataError("every row is a near-duplicate of a test row: nothing is left to learn from")
        cut = split(len(free), {"train": 2 / 3, "calibrate": 1 / 3}, seed, group=group[free])
        found = {"train": free[cut["train"]], "calibrate": free[cut["calibrate"]]}
        found["test"] = np.arange(len(rows), len(rows) + len(test))
    else:
        found = {name: np.asarray(part, np.int64) for name, part in split(len(rows), SHARES, seed, group=group).items()}
        notes.append(f"{len(found['test']):,} of the rows are held out for the test (seed {seed})")
    if not len(found["calibrate"]) or not len(found["test"]):
        raise DataError("the rows are near-duplicates of each other: nothing is left to choose by or to measure on")
    rng = np.random.default_rng([seed, 9])
    for name, most in _MOST.items():
        found[name] = rng.permutation(found[name])[:most]
    return found["train"], found["calibrate"], found["test"]


def _value(value: Any) -> Any:
    if value is None or not value:
        return None
    return [str(one) for one in value] if isinstance(value, list | tuple) else str(value)
