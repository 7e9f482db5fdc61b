"""Rows as text, for a model that reads them."""

from __future__ import annotations

from typing import Any

import pytest

from pilotfish.compete.tables.large import as_text, read_by, renamed
from pilotfish.compete.tables.task import table_task
from pilotfish.errors import ConfigError
from pilotfish.model import Request
from tests.fakes import ScriptedModel

ROWS: list[dict[str, Any]] = [
    {"age": 20 + i, "plan_name": "basic" if i % 2 else None, "stays": "yes" if i % 3 else "no"} for i in range(40)
]


def test_a_row_is_sentences() -> None:
    assert as_text(ROWS[0], ["age", "plan_name"]) == "The age is 20. The plan name is unknown."
    assert as_text(ROWS[1], ["age"], {"age": "column 1"}) == "The column 1 is 21."


def test_no_column_keeps_its_own_name_when_names_are_shuffled() -> None:
    for seed in range(20):
        names = renamed(["a", "b", "c", "d"], "shuffled", seed)
        assert sorted(names.values()) == ["a", "b", "c", "d"]
        assert all(column != name for column, name in names.items())
    assert renamed(["a", "b"], "hidden") == {"a": "column 1", "b": "column 2"}
    with pytest.raises(ConfigError):
        renamed(["a"], "shuffled")
    with pytest.raises(ConfigError):
        renamed(["a"], "else")  # type: ignore[arg-type]


def test_a_model_is_asked_with_rows_of_every_class_shown() -> None:
    def says(request: Request) -> str:
        return "stays" if "The age is 21" in request.prompt else "leaves"

    task = table_task(ROWS, "stays")
    model = ScriptedModel(says)
    told = read_by(model, task, [ROWS[1], ROWS[3]], shots=4, label_names={"yes": "stays", "no": "leaves"})
    assert told.labels == ["yes", "no"] and told.probabilities is None and len(told.traces) == 2
    shown = [message.text for message in model.requests[0].messages]
    assert sum(text in ("stays", "leaves") for text in shown) == 4 and shown.count("stays") == 2
    hidden = ScriptedModel("leaves")
    read_by(hidden, task, [ROWS[1]], naming="hidden")
    assert "The column 1 is 21." in hidden.requests[0].prompt and "age" not in hidden.requests[0].prompt
    with pytest.raises(ConfigError):
        read_by(model, table_task(ROWS, "age", kind="number"), ROWS)
