"""Tasks of answers."""

from __future__ import annotations

import json

import pytest

from pilotfish.compete.advisor.task import answer_task, schema_of
from pilotfish.errors import ConfigError, DataError
from tests.compete.advisor.test_marks import rows


def test_parts_are_apart_and_copies_stay_together() -> None:
    given = rows(60)
    given += [dict(row) for row in given[:20]]
    task = answer_task(given, "generation", prompt="Say: {q}", gold="a")
    parts = [set(part.tolist()) for part in (task.train, task.calibrate, task.test)]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    texts = [{task.rows[i]["q"] for i in part} for part in parts]
    assert not (texts[0] & texts[1] or texts[0] & texts[2] or texts[1] & texts[2])
    again = answer_task(given, "generation", prompt="Say: {q}", gold="a")
    assert again.test.tolist() == task.test.tolist()
    assert {one["output"] for one in task.examples()} <= {row["a"] for row in given}
    assert task.requests[0].max_tokens == 128 and task.requests[0].temperature == 0


def test_extraction_has_a_prompt_and_a_schema_of_its_own() -> None:
    task = answer_task(rows(), "extraction", text="q", fields=["city", "names"])
    request = task.requests[0]
    assert '"city", "names"' in request.prompt and request.prompt.endswith(task.rows[0]["q"])
    assert json.loads(task.right(0) or "") == {"city": task.rows[0]["city"], "names": task.rows[0]["names"]}
    schema = request.response_format["json_schema"]["schema"]  # type: ignore[index]
    assert schema == schema_of(["city", "names"]) and schema["additionalProperties"] is False


def test_a_test_file_is_measured_on_and_its_copies_are_not_learnt_from() -> None:
    given = rows(80)
    task = answer_task(given[:50], "generation", prompt="Say: {q}", gold="a", test=[*given[50:], given[0]])
    assert len(task.test) == 31 and min(task.test) == 50
    assert 0 not in {*task.train.tolist(), *task.calibrate.tolist()}
    assert any("near-duplicates of test rows" in note for note in task.notes)


def test_bad_tasks_are_refused_in_a_line() -> None:
    with pytest.raises(ConfigError, match="prompt"):
        answer_task(rows(), "generation", gold="a")
    with pytest.raises(ConfigError, match="fields"):
        answer_task(rows(), "generation", prompt="{q}", fields=["a"])
    with pytest.raises(ConfigError, match="fields"):
        answer_task(rows(), "extraction", text="q")
    with pytest.raises(DataError, match="30"):
        answer_task(rows(12), "generation", prompt="{q}", gold="a")
    with pytest.raises(DataError, match="answer"):
        answer_task(rows(), "generation", prompt="{q}", gold="answer")
