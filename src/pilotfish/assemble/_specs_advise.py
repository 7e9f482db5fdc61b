"""The `[advise]` table, of which `task` says the kind: what the flags of `pilotfish advise` say, in a file.

[advise]
task = "table"
rows = "customers.csv"
target = "leaves"
large = "large"

Paths are relative to the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Above0, Count, Ref, Spec, Text
from pilotfish.assemble.check import checked
from pilotfish.errors import ConfigError, did_you_mean

__all__ = ["ADVISE", "AdviseAnswersSpec", "AdviseSpec", "AdviseTableSpec", "EveryAdviseSpec", "advise_spec"]


class EveryAdviseSpec(Spec):
    """What every kind of task has: rows, models, budgets, margins."""

    rows: Text
    large: Ref | None = None
    test: str | None = None
    format: str | None = None
    encoding: str | None = None
    margin: float = 0.02
    test_rows: int = 500
    calibrate_rows: int = 300
    max_seconds: float | None = None
    max_cost: float | None = None
    max_memory: str | None = None
    licences: list[str] = []
    seed: int = 0


class AdviseSpec(EveryAdviseSpec):
    """Texts that get one of some labels."""

    task: Literal["classification"] = "classification"
    text: Text
    label: Text
    small: Ref = "small"
    unlabelled: str | None = None
    names: dict[str, str] = {}
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    drop_leaks: bool = False
    counts: list[int] | None = None
    seeds: int = 3
    shots: int = 1
    unlabelled_rows: int = 400


class AdviseTableSpec(EveryAdviseSpec):
    """Rows of a table of which one column is foretold."""

    task: Literal["table"]
    target: Text
    columns: list[Text] | None = None
    kind: Literal["classes", "number"] | None = None
    group: Text | None = None
    names: dict[str, str] = {}
    question: Text | None = None
    models: Annotated[list[Text], Field(min_length=1)] | None = None
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    max_p95: Above0 | None = None
    seeds: int = 3
    shots: Annotated[int, Field(ge=0)] = 4


class AdviseAnswersSpec(EveryAdviseSpec):
    """Prompts that get an answer in text: written, extracted as fields, or found in documents.

    `grade` says what an answer is worth; by "judge" the model `judge` says it. `documents` are rows with a text.
    """

    task: Literal["generation", "extraction", "retrieval"]
    small: Ref = "small"
    judge: Ref | None = None
    prompt: Text | None = None
    system: Text | None = None
    text: Text | None = None
    gold: Text | None = None
    fields: list[Text] = []
    grade: Text | None = None
    documents: Text | None = None
    document_text: Text = "text"
    document_id: Text = "id"
    encoder: Text = "all-minilm-l6-v2"
    max_tokens: Count = 128

    @model_validator(mode="after")
    def _fits(self) -> AdviseAnswersSpec:
        if (self.task == "extraction") != bool(self.fields):
            raise ValueError("`fields`, the columns of the right values, are of extraction, which needs them")
        if (self.task == "retrieval") != (self.documents is not None):
            raise ValueError("`documents` are of retrieval, which needs them")
        if (self.grade == "judge") != (self.judge is not None):
            raise ValueError('a `judge` goes with `grade = "judge"`')
        if self.is_log:
            return self
        if self.task != "extraction" and self.prompt is None:
            raise ValueError("`prompt` is missing: what is asked, with columns in braces")
        if self.task == "extraction" and self.prompt is None and self.text is None:
            raise ValueError("`text` is missing: the column that is read; or a `prompt` of your own")
        if self.task != "extraction" and self.grade is None and self.gold is None:
            raise ValueError("`gold` is missing: the column of the right answer; or a `judge`")
        return self

    @property
    def is_log(self) -> bool:
        """Whether the rows are a gateway's decision log: an SQLite file, or a PostgreSQL URL."""
        return self.rows.endswith((".sqlite", ".sqlite3", ".db")) or self.rows.startswith(
            ("postgresql://", "postgres://")
        )

    @property
    def asked(self) -> str | None:
        """What is asked: of a log what was asked, where nothing else is said."""
        return "{prompt}" if self.is_log and self.prompt is None else self.prompt

    @property
    def right(self) -> str | None:
        """The column of the right answer: of a log what was sent, where nothing else says what is right."""
        return "reply" if self.is_log and self.gold is None and self.judge is None else self.gold

    @property
    def marks(self) -> str:
        """What an answer is worth, where the file does not say: fields, or the words that it shares with the right."""
        return self.grade or ("fields" if self.task == "extraction" else "word-f1")


ADVISE: dict[str, type[EveryAdviseSpec]] = {
    "classification": AdviseSpec,
    "table": AdviseTableSpec,
    "generation": AdviseAnswersSpec,
    "extraction": AdviseAnswersSpec,
    "retrieval": AdviseAnswersSpec,
}


def advise_spec(table: Mapping[str, Any], where: str) -> EveryAdviseSpec:
    """Return an `[advise]` table, checked as the kind of task that it names.

    Raises:
        ConfigError: no such task, or a table that does not fit it.
    """
    task = table.get("task", "classification")
    if not isinstance(task, str) or task not in ADVISE:
        known = did_you_mean(str(task), ADVISE) or f": one of {', '.join(ADVISE)}"
        raise ConfigError(f"{where} task = {task!r}: there is no such kind of task{known}")
    return checked(ADVISE[task], table, where)
