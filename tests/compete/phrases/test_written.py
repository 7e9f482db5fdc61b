"""Pairs that a model writes: read from its lists, paid for once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotfish.compete.phrases.pair import Pair
from pilotfish.compete.phrases.written import PROMPT, phrases_in_answer, written
from pilotfish.errors import ConfigError, ModelError
from pilotfish.measure.judging import filled_in
from pilotfish.model import Call, Reply, Trace
from pilotfish.models.calls import Budget
from tests.fakes import ScriptedModel


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1. automobile\n2) motor car\n- vehicle.", ["automobile", "motor car", "vehicle"]),
        ('Here are some:\n"auto"\n* `wheels`', ["auto", "wheels"]),
        ("auto, motor car, Car", ["auto", "motor car"]),
        ("car\nCAR\nauto\nAuto", ["auto"]),
        ("a line with far too many words to be a phrase", []),
        ("", []),
    ],
)
def test_lists_of_every_form_are_read(text: str, wanted: list[str]) -> None:
    assert phrases_in_answer(text, "car") == wanted


def test_of_a_cut_answer_the_last_line_is_left_out() -> None:
    assert phrases_in_answer("auto\nmotor c", "car", cut=True) == ["auto"]


def test_a_model_is_asked_once_for_each_phrase(tmp_path: Path) -> None:
    says = {"*": "nothing", filled_in(PROMPT, phrase="car", count="2"): "auto\nmotor car\nwheels"}
    model = ScriptedModel(says)
    first = written(model, ["car", "big  dog", "car"], tmp_path / "said.sqlite", count=2, progress=False)
    assert first.pairs == [
        Pair("car", "auto", "written"),
        Pair("car", "motor car", "written"),
        Pair("big dog", "nothing", "written"),
    ]
    assert len(model.requests) == 2 and len(first.traces) == 2 and first.bill.calls == 2
    again = written(model, ["big dog", "car"], tmp_path / "said.sqlite", count=2, progress=False)
    assert len(model.requests) == 2 and set(again.pairs) == set(first.pairs) and again.bill == first.bill
    assert all(trace.calls[0].cached for trace in again.traces)
    less = written(model, ["car"], tmp_path / "said.sqlite", count=2, without=[("AUTO", "car")], progress=False)
    assert less.pairs == [Pair("car", "motor car", "written")]


def test_what_gives_nothing_is_counted(tmp_path: Path) -> None:
    empty = written(ScriptedModel("car"), ["car"], tmp_path / "a.sqlite", progress=False)
    assert empty.pairs == [] and empty.empty == 1
    paid = Reply("auto", trace=Trace((Call("m", tokens_in=5, tokens_out=1),)))
    short = written(
        ScriptedModel(lambda _: paid), ["car", "dog"], tmp_path / "b.sqlite", budget=Budget(calls=1), progress=False
    )
    assert sum(short.unanswered.values()) == 1 and len(short.pairs) == 1
    mixed = written(
        ScriptedModel(lambda request: ModelError("no: why") if "dog" in request.prompt else "auto"),
        ["car", "dog"],
        tmp_path / "c.sqlite",
        progress=False,
    )
    assert mixed.unanswered == {"no": 1} and mixed.pairs == [Pair("car", "auto", "written")]
    with pytest.raises(ConfigError):
        written(ScriptedModel(), ["car"], tmp_path / "d.sqlite", prompt="other words")
