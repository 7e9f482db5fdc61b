"""Easy mentions by the linker, hard ones by the large model; every call in the trace."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pilotfish import ask
from pilotfish.compete.entities import EntityBase, Linked, LinkedModel, Linker, Mention
from pilotfish.compete.entities.choice import letters, question, read
from pilotfish.compete.entities.linked import SIGNALS, signals
from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.models.local import LocalModel
from tests.compete.entities.made import ENTITIES, mentions, placed
from tests.fakes import ScriptedModel


@pytest.fixture
def linker(base: EntityBase) -> Linker:
    return Linker(base).fit(mentions()).calibrate(mentions())


def entities_of(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["entities"]
    return found


def test_marked_mentions_are_linked(linker: Linker) -> None:
    reply = ask(LinkedModel(linker), "liquid [[Mercury]] is poison in fish, says [[Jolanta Brisk]]")
    assert json.loads(reply.text)["text"] == "liquid Mercury is poison in fish, says Jolanta Brisk"
    one, other = entities_of(reply.text)
    assert (one["id"], one["start"], one["end"], one["by"]) == ("metal", 7, 14, "linker")
    assert (other["id"], other["name"]) == (None, None)
    assert [(one.model, one.verdict, one.threshold) for one in reply.trace.decisions] == [("linked", "easy", None)] * 2


def test_names_of_the_base_are_spotted(linker: Linker) -> None:
    reply = ask(LinkedModel(linker), "Marie Curie found radium near the EU.")
    assert [one["id"] for one in entities_of(reply.text)] == ["curie", "eu"]
    assert entities_of(ask(LinkedModel(linker), "nobody").text) == []


def test_hard_ones_go_to_the_large_model(linker: Linker) -> None:
    large = ScriptedModel("B", name="big")
    model = LinkedModel(linker, large, above=1.01)
    reply = ask(model, "[[Mercury]] wore winged sandals")
    (one,) = linker.link([placed("{} wore winged sandals", "Mercury")])
    assert entities_of(reply.text)[0]["id"] == one.candidates[1].id
    assert [call.model for call in reply.trace.calls] == ["big"]
    (decision,) = reply.trace.decisions
    assert (decision.verdict, decision.threshold) == ("hard", 1.01) and decision.score == pytest.approx(one.ease)
    asked = large.requests[0].prompt
    assert "[[Mercury]] wore winged sandals" in asked and "none of these" in asked and "A. Mercury" in asked
    assert large.requests[0].extra == {}


def test_easy_ones_cost_nothing(linker: Linker) -> None:
    large = ScriptedModel("A")
    ask(LinkedModel(linker, large, above=0.0), "[[Mercury]] wore winged sandals")
    assert large.calls == 0


def test_an_answer_that_names_no_candidate_leaves_the_linkers(linker: Linker) -> None:
    model = LinkedModel(linker, ScriptedModel("I cannot say."), above=1.01)
    reply = ask(model, "[[Marie Curie]] found radium")
    assert entities_of(reply.text)[0] | {"ease": 0} == {
        "start": 0, "end": 11, "mention": "Marie Curie", "id": "curie", "name": "Marie Curie", "ease": 0, "by": "unread"
    }  # fmt: skip
    assert [one.verdict for one in reply.trace.decisions] == ["hard, no answer"] and len(reply.trace.calls) == 1


def test_none_of_these_and_an_upstream_that_fails(linker: Linker) -> None:
    reply = ask(LinkedModel(linker, ScriptedModel("none of these"), above=1.01), "[[Marie Curie]] found radium")
    assert entities_of(reply.text)[0]["id"] is None
    with pytest.raises(UpstreamError):
        ask(LinkedModel(linker, ScriptedModel("A", fail_first=1), above=1.01), "[[Marie Curie]] found radium")


def test_a_local_model_chooses_among_the_letters(linker: Linker, tiny_lm: LocalModel) -> None:
    model = LinkedModel(linker, tiny_lm, above=1.01, shown=2)
    reply = ask(model, "[[EU]] member states")
    (one,) = entities_of(reply.text)
    assert one["by"] == "large" and model.choosing and reply.trace.calls[-1].tokens_in > 0


def test_nested_in_itself_is_a_model(linker: Linker) -> None:
    inner = LinkedModel(linker, name="inner")
    reply = ask(LinkedModel(linker, inner, above=1.01), "[[Marie Curie]] found radium")
    # An inner linker answers with JSON, which is no letter: the outer one's decision holds, and both are in the trace.
    assert entities_of(reply.text)[0]["by"] == "unread"
    assert {one.model for one in reply.trace.decisions} == {"linked", "inner"}


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("B", 1),
        ("(b)", None),
        ("**C**. Because", 2),
        ("The answer is B.", 1),
        ("B\nBecause", 1),
        ("A planet near the sun", None),
        ("The answer is a planet", None),
        ("Answer: A", 0),
        ("none of these", 3),
        ("D", 3),
        ("E", None),
        ("A's book", None),
        ("", None),
        ("Because it is", None),
    ],
)
def test_letters_are_read(said: str, wanted: int | None) -> None:
    assert read(said, 3) == wanted


def test_questions_are_bounded() -> None:
    long = Linked(Mention("x" * 900 + "Mercury" + "y" * 900, 900, 907), None, tuple(ENTITIES), np.full(8, 0.1), 0.2)
    request = question(long, 3, choosing=True)
    assert (
        len(request.prompt) < 1900 and request.extra == {"choices": ["A", "B", "C", "D"]} and letters(1) == ["A", "B"]
    )
    with pytest.raises(ConfigError, match="candidates are shown"):
        question(long, 26)
    braces = Linked(Mention.alone("{choices}"), None, (), np.zeros(0), 1.0)
    assert "[[{choices}]]" in question(braces, 3).prompt


def test_signals_by_hand() -> None:
    one = Linked(Mention.alone("x"), ENTITIES[0], tuple(ENTITIES[:2]), np.array([0.5, 0.25]), 0.25, 0.5)
    told = dict(zip(SIGNALS, signals(one).tolist(), strict=True))
    entropy = (0.5 * np.log(2) + 0.5 * np.log(4)) / np.log(3)
    wanted = {
        "linked": 1,
        "best": 0.5,
        "second": 0.25,
        "margin": 0.25,
        "entropy": entropy,
        "nil": 0.25,
        "agreement": 0.5,
    }
    assert told == pytest.approx(wanted)
    none = Linked(Mention.alone("x"), None, (), np.zeros(0), 1.0)
    assert signals(none).tolist() == [0, 0, 0, 0, 0, 1, 0]


def test_mistakes(linker: Linker) -> None:
    with pytest.raises(ConfigError, match=r"lacks the place \{choices\}"):
        LinkedModel(linker, prompt="{text} {mention}")
    with pytest.raises(ConfigError, match="candidates are shown"):
        LinkedModel(linker, shown=26)
