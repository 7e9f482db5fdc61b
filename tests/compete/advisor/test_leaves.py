"""Every leaf of the survey is accounted for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pilotfish.compete.advisor.leaves import LEAVES, Finding, accounted, gained, idle, untried
from pilotfish.compete.graded import Graded
from pilotfish.errors import ConfigError

ROOT = Path(__file__).parents[3]


def candidate(key: str, scores: list[float], seconds: float) -> Graded:
    n = len(scores)
    rows = np.arange(n)
    return Graded(key, key, "small", rows, ["x"] * n, ["x"] * n, seconds=seconds, scores=np.array(scores))


def test_the_leaves_are_those_of_the_map() -> None:
    text = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
    known = {leaf.title for leaf in LEAVES}
    chapters = {leaf.chapter for leaf in LEAVES}
    told, chapter = set(), ""
    for line in text.splitlines():
        if line.startswith("## "):
            chapter = line[3:]
        if chapter in chapters and line.startswith("| ") and not line.startswith(("| leaf", "|---")):
            told.add(line.split("|")[1].strip())
    assert told - {"The advisor"} == known
    guides = ROOT / "docs" / "guides"
    assert not [leaf.guide for leaf in LEAVES if leaf.guide and not (guides / f"{leaf.guide}.md").exists()]


def test_a_leaf_without_a_finding_is_told_by_name() -> None:
    found = [idle(leaf.key, "no") for leaf in LEAVES]
    assert [one.leaf for one in accounted(reversed(found))] == [leaf.key for leaf in LEAVES]
    with pytest.raises(ConfigError, match="Efficient inference, cascade"):
        accounted(one for one in found if one.leaf != "cascade")
    with pytest.raises(ConfigError, match="nothing"):
        Finding("nothing", "tried", "")


def test_of_several_findings_the_tried_ones_stand() -> None:
    rest = [idle(leaf.key, "no") for leaf in LEAVES if leaf.key != "retrieve"]
    two = [untried("retrieve", "late"), Finding("retrieve", "tried", "a"), Finding("retrieve", "tried", "b")]
    shown = [one for one in accounted([*rest, *two]) if one.leaf == "retrieve"]
    assert [one.why for one in shown] == ["a", "b"]
    shown = [one for one in accounted([*rest, two[0], idle("retrieve", "x")]) if one.leaf == "retrieve"]
    assert [one.why for one in shown] == ["late"]


def test_a_gain_is_paired_on_the_rows_that_both_answered() -> None:
    better, base = candidate("a", [1, 1, 1, 0] * 20, 0.5), candidate("b", [1, 0, 1, 0] * 20, 2.0)
    found = gained("cascade", better, base, "tried")
    assert found.gain is not None and found.gain.value == 0.25 and found.gain.low > 0
    assert found.faster == 4.0 and found.cheaper is None
    assert found.to_json()["leaf"] == "Efficient inference, cascade"
