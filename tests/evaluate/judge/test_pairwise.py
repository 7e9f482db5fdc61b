"""Judges of pairs: both orders, ties, what the order and the length do, and a local model's probabilities."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.evaluate.judge import Pairwise, Rubric
from pilotfish.model import Request
from pilotfish.models.local import LocalModel
from tests.fakes import ScriptedModel

RUBRIC = Rubric.of("Which is truer?")


def shown(request: Request) -> tuple[str, str]:
    """The two answers of a question, A's first."""
    found = re.search(r"### Answer A\n(.*)\n\n### Answer B\n(.*)\n\n### Your", request.prompt, re.DOTALL)
    assert found is not None
    return found.group(1), found.group(2)


def judge(script: Any, **how: Any) -> Pairwise:
    return Pairwise(model=ScriptedModel(script), rubric=RUBRIC, **how)


def says(word: Any) -> str:
    return json.dumps({"better": word})


def better_if(wins: Any) -> Any:
    """A judge without a preference for a place: `wins` of the two answers."""

    def told(request: Request) -> str:
        a, b = shown(request)
        return says("A" if wins(a) > wins(b) else "B" if wins(b) > wins(a) else "tie")

    return told


def test_a_judge_that_knows_is_right_in_both_orders() -> None:
    one = judge(better_if(lambda text: text.count("x")))
    told = one(["q"] * 4, ["xx", "x", "x", ""], ["x", "xx", "x", "xxxx"])
    assert told.verdicts.tolist() == [1, -1, 0, -1] and told.preferences.tolist() == [1, 0, 0.5, 0]
    assert told.ties == 1 and told.wins().value == pytest.approx(3 / 8)
    position = told.position()
    assert position is not None
    assert position.first.value == 0.5 and position.changed.value == 0
    assert told.name == "judge scripted (pairs; score; answer, both orders)"
    longer = told.by_length()
    assert longer is not None and longer.value == 1 and longer.n == 3


def test_who_prefers_the_first_place_gives_ties_and_is_found_out() -> None:
    told = judge(says("A"))(["q"] * 3, ["good", "fine", "so"], ["bad", "poor", "and so"])
    assert told.verdicts.tolist() == [0, 0, 0] and told.preferences.tolist() == [0.5] * 3
    position = told.position()
    assert position is not None
    assert position.first.value == 1 and position.changed.value == 1
    assert position.first.low < 0.5  # three rows that are all alike prove little
    assert (position.to_first, position.to_second) == (3, 0)
    assert told.wins().value == 0.5 and told.by_length() is None
    assert "to the first 3" in str(position) and json.dumps(position.to_json())
    second = judge(says("B"))(["q"], ["good"], ["bad"]).position()
    assert second is not None and (second.first.value, second.to_second) == (0, 1)


@given(rows=st.lists(st.tuples(st.sampled_from(["A", "B", "tie"]), st.sampled_from(["A", "B", "tie"])), min_size=1))
def test_a_win_is_one_in_both_orders_and_a_tie_counts_half(rows: list[tuple[str, str]]) -> None:
    """By the words themselves, in order: what is not the same answer twice is a tie, and none is dropped."""
    said = [word for row in rows for word in row]
    told = judge([says(word) for word in said], concurrency=1)(
        ["q"] * len(rows), [f"a{n}" for n in range(len(rows))], [f"b{n}" for n in range(len(rows))]
    )
    expected = [{("A", "B"): 1, ("B", "A"): -1}.get(row, 0) for row in rows]
    assert told.verdicts.tolist() == expected
    assert told.wins().value == pytest.approx(np.mean([(one + 1) / 2 for one in expected]))
    position = told.position()
    assert position is not None
    worth = {"A": 1.0, "B": 0.0, "tie": 0.5}
    assert position.first.value == pytest.approx(np.mean([worth[word] for word in said]))
    agreeing = {("A", "B"), ("B", "A"), ("tie", "tie")}
    assert position.changed.value == pytest.approx(np.mean([row not in agreeing for row in rows]))


def test_a_row_without_both_verdicts_has_none_and_is_counted(tmp_path: Path) -> None:
    def told(request: Request) -> str | Exception:
        a, _ = shown(request)
        if a == "down":
            return UpstreamError("down", status=500)
        return {"mute": "A is better", "odd": says("C")}.get(a, says("A" if a == "good" else "B"))

    one = judge(told, store=tmp_path / "s.sqlite")
    found = one(["q"] * 4, ["good", "down", "mute", "odd"], ["bad"] * 4)
    assert found.column == [1, None, None, None]
    assert found.missing == {"no answer": 1, "no JSON in the reply": 1, "no verdict": 1}
    assert found.later == {1} and found.why[3] == "no verdict: better is 'C'"
    assert found.columns("j")[0] == {"j": "a", "j.preference": 1.0}
    assert found.columns("j")[1] == {"j": None, "j.note": "no answer: down"}
    assert found.wins(groups=[1, 2, 3, 4]).n == 1


def test_ties_may_be_ruled_out_and_braces_stay() -> None:
    one = judge(says("tie"), ties=False)
    told = one(["{a} {b}"], ["{b}"], ["{task}"])
    assert told.missing == {"no verdict": 1}
    assert isinstance(one.model, ScriptedModel)
    assert shown(one.model.requests[0]) == ("{b}", "{task}") and "\n{a} {b}\n" in one.model.requests[0].prompt
    form: Any = one.model.requests[0].response_format
    assert form["json_schema"]["schema"]["properties"]["better"] == {"enum": ["A", "B"]}


def test_a_local_model_s_probabilities_over_both_orders(tiny_lm: LocalModel) -> None:
    one = Pairwise(model=tiny_lm, rubric=RUBRIC)
    strict = Pairwise(model=tiny_lm, rubric=RUBRIC, settle="orders")
    a, b = ["the cat sat on the mat", "a"], ["a dog", "the bird sang a song"]
    told, held = one(["who"] * 2, a, b), strict(["who"] * 2, a, b)
    for row in range(2):
        orders = []
        for first, second in ((a[row], b[row]), (b[row], a[row])):
            logs = tiny_lm.choices([tiny_lm.render(one.asks("who", first, second))], ["A", "B"])[0]
            orders.append(1 / (1 + np.exp(logs[1] - logs[0])))
        assert told.preferences[row] == pytest.approx((orders[0] + 1 - orders[1]) / 2, abs=1e-4)
        same = (orders[0] > 0.5) == (orders[1] < 0.5)
        assert told.verdicts[row] == (1 if orders[0] > orders[1] else -1)
        assert held.verdicts[row] == ((1 if orders[0] > 0.5 else -1) if same else 0)
    assert told.name.endswith("probability, mean of both orders)") and held.name.endswith("probability, both orders)")


def test_answers_by_their_mean() -> None:
    said = [says(word) for word in ("A", "tie", "A", "A", "tie", "A")]
    told = judge(said, settle="mean", concurrency=1)(["q"] * 3, ["a", "b", "c"], ["x", "y", "z"])
    assert told.preferences.tolist() == [0.75, 0.5, 0.25] and told.verdicts.tolist() == [1, 0, -1]
    with pytest.raises(ConfigError, match="are settled by"):
        judge("x", settle="first")


def test_a_prompt_needs_its_places() -> None:
    with pytest.raises(ConfigError, match=r"needs the place \{b\}"):
        judge("x", prompt="{rubric} {task} {a} {form}")


def test_right_answers_are_shown() -> None:
    one = judge(says("A"))
    one(["q"], ["a"], ["b"], ["right"])
    assert isinstance(one.model, ScriptedModel)
    assert all("to compare with\nright" in request.prompt for request in one.model.requests)
