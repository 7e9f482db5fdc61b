"""A classifier that says why, in the trace of its reply."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.compete.explain.served import Explaining
from pilotfish.compete.tables.model import TableReplies
from pilotfish.errors import ModelError
from pilotfish.models.classify import Labeller, NgramFeatures, TextClassifier
from tests.compete.explain.test_explain import fitted, task_of
from tests.fakes import ScriptedModel

if TYPE_CHECKING:
    from pilotfish.models.local import LocalModel

TEXTS, LABELS = ["good good day", "a good one", "bad day", "so bad"], ["+", "+", "-", "-"]


def test_a_texts_reasons_are_its_ngrams(tmp_path: Path) -> None:
    TextClassifier(NgramFeatures()).fit(TEXTS, LABELS).save(tmp_path / "model")
    (tmp_path / "c.toml").write_text(
        '[models.why]\nuse = "classifier"\npath = "model"\nexplain = 2\n'
        '[models.plain]\nuse = "classifier"\npath = "model"\n',
        encoding="utf-8",
    )
    models = Collaboration.load(tmp_path / "c.toml")
    reply, plain = ask(models.model("why"), "a good day"), ask(models.model("plain"), "a good day")
    assert reply.text == plain.text == "+" and reply.logprobs == plain.logprobs
    first, second = reply.trace.decisions
    assert first.verdict == "because of 'good'" and (first.score or 0) > abs(second.score or 0)
    assert plain.trace.decisions == ()


@pytest.mark.parametrize("kind", ["histogram", "linear", "rules"])
def test_a_rows_reasons_are_its_columns(kind: str) -> None:
    task = task_of("two")
    model = TableReplies(fitted(task, kind), "table")
    row = {name: task.test[0][name] for name in task.table.columns}
    reply = ask(Explaining(model, 2), json.dumps(row))
    verdicts = [one.verdict for one in reply.trace.decisions]
    if kind == "rules":
        assert len(verdicts) == 1 and verdicts[0].startswith("by rule ")
    else:
        assert len(verdicts) == 2 and any(one == f"because a is {row['a']}" for one in verdicts)


def test_a_number_has_reasons_in_its_own_unit() -> None:
    task = task_of("number")
    reply = ask(Explaining(TableReplies(fitted(task, "linear")), 3), '{"a": 3.0, "plan": "team", "noise": 0.0}')
    (first, *_) = reply.trace.decisions
    assert first.verdict == "because a is 3.0" and (first.score or 0) > 4  # twice 3, less the mean


def test_a_labellers_words(tiny_lm: LocalModel) -> None:
    reply = ask(Explaining(Labeller(tiny_lm, ["card", "refund"]), 2), "where is it")
    assert reply.text in ("card", "refund")
    assert [one.verdict for one in reply.trace.decisions if one.verdict.startswith("because of ")]


def test_what_tells_no_reasons_is_told_at_once() -> None:
    with pytest.raises(ModelError, match="no reasons"):
        Explaining(ScriptedModel())
    with pytest.raises(ModelError, match="no probabilities"):
        Explaining(Labeller(ScriptedModel(), ["a", "b"]))
    with pytest.raises(ModelError, match="CatBoost"):
        Explaining(TableReplies(fitted(task_of("two"), "catboost")))
