"""Passages told to the models around and within, and to nobody else."""

from __future__ import annotations

from pilotfish.measure.evidence import listening, looked_up, passages_of, shown, to_look_up
from pilotfish.model import Request


def test_those_outside_hear_and_those_within_are_told() -> None:
    asked = Request.of("q", metadata={"id": 7})
    outer, first = listening(asked)
    inner, second = listening(outer)
    told = shown(shown(inner, ["a", "b"]), ["b", "c"])
    assert first == second == ["a", "b", "c"]
    assert passages_of(told) == ("a", "b", "b", "c")
    assert told.metadata["id"] == 7
    assert (told.key(), told) == (asked.key(), asked)  # nobody is sent any of it
    assert passages_of(asked) == ()
    assert passages_of(shown(asked, ["x"])) == ("x",)


def test_what_is_to_be_looked_up_may_be_another_text_than_the_last_turn() -> None:
    asked = Request.of("Again!")
    assert looked_up(asked) is None
    told = to_look_up(asked, "Who?")
    assert (looked_up(told), told) == ("Who?", asked)
