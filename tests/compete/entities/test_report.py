"""How well mentions are linked, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pilotfish.compete.entities import Entity, Linked, Mention, reported
from pilotfish.errors import DataError

A, B = Entity("a", "A"), Entity("b", "B")


def linked(entity: Entity | None, *candidates: Entity) -> Linked:
    return Linked(Mention.alone("x"), entity, candidates, np.full(len(candidates), 0.3), 0.1)


def test_by_hand() -> None:
    told = [linked(A, A, B), linked(A, A), linked(None, B), linked(None), linked(B, B)]
    report = reported(told, ["a", "b", "b", None, None])
    values = [report.accuracy, report.found, report.precision, report.recall, report.nil_precision, report.nil_recall]
    assert [one.value for one in values if one] == pytest.approx([2 / 5, 2 / 3, 1 / 3, 1 / 3, 1 / 2, 1 / 2])
    assert report.f1.value == pytest.approx(2 * 1 / (3 + 3)) and (report.mentions, report.meant) == (5, 3)
    assert "nil recall" in str(report) and report.to_json()["accuracy"]["value"] == 0.4


def test_shares_of_nothing_are_none() -> None:
    report = reported([linked(None)], [None])
    assert report.found is None and report.precision is None and report.accuracy.value == 1.0
    assert "-" in str(report)
    with pytest.raises(DataError, match="one answer a mention"):
        reported([], [])
