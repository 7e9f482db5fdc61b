"""How judges ask: by an answer under a schema or by probabilities, each question once, and what a reply holds."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.answers import last_object
from pilotfish.model import Message, Model, Request
from pilotfish.models.calls import Heard, heard
from pilotfish.models.choosing import CHOICES, Choosing, chooses
from pilotfish.rows.asking import Said

__all__ = ["By", "Judge", "checked_rows", "object_in", "of_rows", "reference_part"]

NO_ANSWER = "no answer"
By = Literal["auto", "answer", "probability"]


@dataclass(frozen=True, kw_only=True)
class Judge:
    """A model that is asked, and how.

    Attributes:
        model: the judge.
        by: "answer": it answers by a schema, which a local model cannot leave and an endpoint is told; "probability":
            the probabilities of the answers, of a model whose weights are here; "auto": those where the model has any.
        prompt: the question with its places; None for the usual one.
        explain: let it give a reason before the verdict, by "answer" alone.
        constrained: send the schema; False for an endpoint that refuses `response_format`. What is read is the same.
        settings: further fields of the request.
        store: the file of what it said, so that nothing is asked twice; None keeps nothing.
        concurrency: calls under way at once; None goes by the model.
        progress: show a bar.
    """

    model: Model
    by: By = "auto"
    prompt: str | None = None
    explain: bool = False
    constrained: bool = True
    settings: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0.0, "max_tokens": 512})
    store: str | Path | None = None
    concurrency: int | None = None
    progress: bool = False

    def __post_init__(self) -> None:
        if self.by not in get_args(By):
            raise ConfigError(f"a judge goes by {' or '.join(get_args(By))}, not {self.by!r}")
        if self.by == "probability" and not chooses(self.model):
            raise ConfigError(f'{self.model.name}: it does not tell the probability of answers; take by = "answer"')
        if self.explain and self.by == "probability":
            raise ConfigError('a reason is an answer: `explain` goes with by = "answer"')

    @property
    def by_probability(self) -> bool:
        """Whether probabilities are read, and nothing is generated."""
        return self.by == "probability" or (self.by == "auto" and not self.explain and chooses(self.model))

    def request(self, text: str, schema: Mapping[str, Any], choices: Sequence[str]) -> Request:
        """Return a question: for an object by the schema, or for the probability of each choice."""
        turns = (Message("user", text),)
        if self.by_probability:
            return Request(turns, temperature=0.0, extra={CHOICES: list(choices)})
        form = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema, "strict": True}}
        return Request(turns, response_format=form if self.constrained else None, **self.settings)

    def ask(self, questions: Sequence[tuple[Request, int]]) -> Heard:
        """Return what the judge said; each question is a request with the number of its sample.

        Raises:
            UpstreamError: the endpoint fails for question after question; what was answered stays.
            ModelError: the model could answer none of the first questions.
        """
        with ExitStack() as stack:
            path = self.store
            if path is None:
                path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pilotfish-"))) / "judged.sqlite"
            else:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            model = Choosing(self.model) if self.by_probability else self.model
            return heard(model, questions, path, concurrency=self.concurrency, progress=self.progress)

    def _shown(self, prompt: str, references: Sequence[str] | None, rows: int) -> Sequence[str | None]:
        """Return what is shown of right answers, one a row.

        Raises:
            ConfigError: the prompt has no place for them.
        """
        if references is None:
            return [None] * rows
        self._needs(prompt, "reference")
        return references

    def _needs(self, prompt: str, *places: str) -> None:
        for place in places:
            if "{" + place + "}" not in prompt:
                raise ConfigError(f"the judge's prompt needs the place {{{place}}}")


def of_rows(told: Heard, each: int) -> list[tuple[list[Said | None], str, bool]]:
    """Return of each row what was said, why a question of it has no answer, and whether another run may get one.

    Args:
        told: what came of the questions, `each` a row.
        each: questions a row.
    """
    found = []
    for first in range(0, len(told.said), each):
        failed = [told.failures[at] for at in range(first, first + each) if at in told.failures]
        why = f"{NO_ANSWER}: {failed[0].reason}" if failed else ""
        found.append((told.said[first : first + each], why, any(one.again for one in failed)))
    return found


def object_in(said: Said) -> dict[str, Any] | str:
    """Return the JSON object that a reply ends with, or why there is none."""
    found = last_object(said.text)
    return found if found is not None else said.fault or "no JSON in the reply"


def checked_rows(**columns: Sequence[str] | None) -> int:
    """Return how many rows the columns have.

    Raises:
        DataError: columns of several lengths, or a value that is no text.
    """
    given = {name: column for name, column in columns.items() if column is not None}
    lengths = {name: len(column) for name, column in given.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"a judge needs one of each a row: {', '.join(f'{n} {name}' for name, n in lengths.items())}")
    for name, column in given.items():
        for number, one in enumerate(column, 1):
            if not isinstance(one, str):
                raise DataError(f"row {number}: {name} must be texts, not {type(one).__name__}")
    return next(iter(lengths.values()))


def reference_part(reference: str | None) -> str:
    """Return the part of a question that shows a right answer, if there is one."""
    return "" if reference is None else f"\n\n### A right answer, to compare with\n{reference}"
