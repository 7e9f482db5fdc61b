"""A model of a table, asked as a Model."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.compete.tables.kinds import kind_of
from pilotfish.compete.tables.model import TableModel, TableReplies
from pilotfish.compete.tables.task import TableTask
from pilotfish.errors import DataError, ModelError
from tests.compete.tables.test_tune import task_of


def linear(kind: str) -> tuple[TableTask, TableModel]:
    task, one = task_of(kind), kind_of("linear")
    return task, TableModel.of(task, one.fit(task.x, task.y, task.categorical, task.kind, one.usual, 0))


def test_a_row_in_json_is_answered_with_all_classes(tmp_path: Path) -> None:
    task, model = linear("three")
    row = {name: task.test[0][name] for name in task.table.columns}
    wanted = model.predict([row])[0]
    reply = ask(TableReplies(model), json.dumps(row))
    assert reply.text == task.classes[int(wanted.argmax())]
    assert reply.logprobs is not None
    told = {label: math.exp(logprob) for label, logprob in reply.logprobs[0].top}
    np.testing.assert_allclose([told[label] for label in task.classes], wanted, atol=1e-9)
    model.save(tmp_path / "model")
    (tmp_path / "c.toml").write_text('[models.table]\nuse = "classifier"\npath = "model"\n', encoding="utf-8")
    again = ask(Collaboration.load(tmp_path / "c.toml").model("table"), json.dumps(row))
    assert again.text == reply.text
    with pytest.raises(DataError, match="JSON object"):
        ask(TableReplies(model), "what?")
    with pytest.raises(DataError, match="'plan'"):
        ask(TableReplies(model), '{"a": 1}')


def test_a_number_is_answered_with_a_number() -> None:
    task, model = linear("number")
    reply = ask(TableReplies(model), json.dumps({"a": 1.0, "plan": "team"}))
    assert float(reply.text) == pytest.approx(model.predict([{"a": 1.0, "plan": "team"}])[0]) and reply.logprobs is None
    assert task.kind == "number"


def test_a_damaged_folder_is_told(tmp_path: Path) -> None:
    _, model = linear("two")
    model.save(tmp_path)
    (tmp_path / "linear.safetensors").write_bytes(b"")
    with pytest.raises(ModelError):
        TableModel.load(tmp_path)
    with pytest.raises(ModelError):
        TableModel.load(tmp_path / "none")
