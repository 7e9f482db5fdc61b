"""Trees as a classifier over texts: a text is a JSON object of columns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pilotfish import ask
from pilotfish.distill.blackbox.students import TreeStudent
from pilotfish.distill.blackbox.tabular import TableClassifier
from pilotfish.errors import DataError, ModelError
from pilotfish.models.classify import ClassifierModel
from tests.distill.blackbox.students.test_trees import rows

pytest.importorskip("sklearn")


def test_it_answers_as_the_trees_do_and_comes_back(tmp_path: Path) -> None:
    given, labels = rows(200, 1)
    given = [{**row, "height": float(row["height"])} for row in given]
    student = TreeStudent(rounds=10)
    model = TableClassifier(student).fit([json.dumps(row) for row in given], labels)
    model.save(tmp_path)
    again = TableClassifier.load(tmp_path)
    asked = [json.dumps(row) for row in given[:20]]
    np.testing.assert_array_equal(again.predict_proba(asked), student.predict_proba(given[:20]))
    assert again.predict(asked) == student.predict(given[:20])
    reply = ask(ClassifierModel(again), asked[0])
    assert reply.text == student.predict(given[:1])[0] and reply.logprobs is not None
    with pytest.raises(ModelError, match="not a saved tree student"):
        TableClassifier.load(tmp_path / "none")


@pytest.mark.parametrize("text", ["80", "not json", '["a"]', '{"age": 3}', "[" * 100_000])
def test_what_is_no_row_is_told(text: str) -> None:
    given, labels = rows(60, 2)
    model = TableClassifier(TreeStudent(rounds=2).fit(given, labels))
    with pytest.raises(DataError, match=r"JSON object of columns|no column"):
        model.predict_proba([text])
