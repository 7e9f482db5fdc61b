"""Questions about rows, each asked once: what was answered lies in the step's folder until the step is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.measure.judging import grade_in
from pilotfish.model import Model, Request
from pilotfish.rows._row import Row
from pilotfish.rows.asking import Said, asked
from pilotfish.rows.model_stage import Template

__all__ = ["Question", "answers", "graded"]


class Question:
    """A prompt over the columns of a row.

    Args:
        prompt: a template, `"Rate: {instruction}"`; a column that a row lacks is an empty text there.
        further: places that are filled in by something else than a column.

    Raises:
        ConfigError: the template is malformed, or names no column.
    """

    def __init__(self, prompt: str, further: Sequence[str] = ()) -> None:
        parsed = Template(prompt)
        self._parts = parsed.parts
        self.columns = [name for name in parsed.columns if name not in further]
        for name in further:
            if name not in parsed.columns:
                raise ConfigError(f"the prompt needs the place {{{name}}}")
        if not self.columns and not further:
            raise ConfigError("the prompt names no column: write its name in braces where the row's text goes")

    def of(self, row: Mapping[str, Any], **further: str) -> str | None:
        """Return the question about a row; None where none of its columns has a text."""
        values = {name: str(row[name]) if row.get(name) is not None else "" for name in self.columns}
        if self.columns and not any(value.strip() for value in values.values()):
            return None
        values |= further
        return "".join(literal + ("" if name is None else values[name]) for literal, name in self._parts)


def answers(
    model: Model, questions: Iterable[str | None], folder: Path, *, max_tokens: int, concurrency: int | None
) -> list[Said | None]:
    """Return what a model says, at temperature 0; None where there is no question, or it cannot answer.

    Raises:
        UpstreamError: the endpoint failed for some; what it answered stays, and the next run asks for the rest.
    """
    given = list(questions)
    places = [place for place, question in enumerate(given) if question is not None]
    requests = [(Request.of(given[place] or "", max_tokens=max_tokens, temperature=0.0), 0) for place in places]
    found = asked(model, requests, folder, concurrency=concurrency)
    if found.again:
        raise UpstreamError(f"{model.name} failed for {found.again:,} rows: run again, what it answered is kept")
    out: list[Said | None] = [None] * len(given)
    for place, said in zip(places, found.said, strict=True):
        out[place] = said
    return out


def graded(said: Said | None, low: float, high: float) -> float | str:
    """Return the grade that an answer holds, or why there is none."""
    if said is None:
        return "no answer"
    value = grade_in(said.text, low, high)
    return value if value is not None else said.fault or f"no grade from {low:g} to {high:g} in the answer"


def listed(rows: Iterable[Row], columns: Sequence[str]) -> list[Row]:
    """Return the rows with those columns alone: all that has to be in memory."""
    return [{name: row[name] for name in columns if name in row} for row in rows]
