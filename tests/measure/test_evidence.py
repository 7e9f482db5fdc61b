"""Passages told to the models around and within, and to nobody else."""

from __future__ import annotations

from pilotfish.measure.evidence import listening, passages_of, shown
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
