"""Slots filled and swapped, by type, with the right article."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilotfish.errors import ConfigError
from pilotfish.rows import read
from pilotfish.synthesize.augment import Slotted
from pilotfish.synthesize.augment._article import takes_an
from pilotfish.synthesize.make import synthesize

LISTS = {"city": ["Paris", "Rome", "Oslo", "New York"], "thing": ["umbrella", "car", "hour"]}


def children(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> list[dict[str, Any]]:
    synthesize(Slotted(rows, each=12, **settings), None, folder, seed=1, progress=False)
    return list(read(folder / "rows.jsonl"))


def test_slots_are_filled_with_their_articles(tmp_path: Path) -> None:
    found = {row["text"] for row in children(tmp_path, [{"text": "A {thing}, from a {city}"}], lists=LISTS)}
    assert {text.split(",")[0] for text in found} == {"An umbrella", "A car", "An hour"}
    assert {text.split("from ")[1] for text in found} == {"a Paris", "a Rome", "an Oslo", "a New York"}


def test_entities_are_swapped_for_others_of_their_type(tmp_path: Path) -> None:
    rows = [
        {"text": "From Paris to Rome: Parisians leave Paris."},
        {"text": "In New York, not in York."},
        {"text": "Hm."},
    ]
    found = children(tmp_path, rows, lists=LISTS)
    first = [row["text"] for row in found if row["synthesis"]["facts"]["parent"] == 0]
    assert all("Parisians" in text for text in first) and len(first) > 1
    for text in first:
        start, end = text.split(":")[0].removeprefix("From ").split(" to ")
        assert {start, end} == {"Oslo", "New York"} and text.endswith(f"leave {start}.")
    second = {row["text"] for row in found if row["synthesis"]["facts"]["parent"] == 1}
    assert second == {f"In {city}, not in York." for city in ("Paris", "Rome", "Oslo")}
    reasons = [row["reason"] for row in read(tmp_path / "rejects.jsonl")]
    assert sum(reason.startswith("no slot") for reason in reasons) == 12


def test_columns_are_lists_and_get_the_new_value(tmp_path: Path) -> None:
    rows = [
        {"text": f"I met {name} in {city}.", "who": name, "where": city}
        for name, city in (("Ann", "Bern"), ("Bo", "Ulm"))
    ]
    found = children(tmp_path, rows, columns=["who", "where"])
    assert {(row["text"], row["who"], row["where"]) for row in found} == {
        ("I met Bo in Ulm.", "Bo", "Ulm"),
        ("I met Ann in Bern.", "Ann", "Bern"),
    }


def test_two_empty_slots_get_two_values(tmp_path: Path) -> None:
    found = children(tmp_path, [{"text": "{city} - {city}"}], lists=LISTS)
    assert all(len(set(row["text"].split(" - "))) == 2 for row in found)
    alone = children(tmp_path / "b", [{"text": "{city} - {city}"}], lists={"city": ["Rome"]})
    assert [row["text"] for row in alone] == ["Rome - Rome"]


def test_mistakes() -> None:
    rows = [{"text": "x", "label": "y"}]
    mistakes: tuple[dict[str, Any], ...] = ({}, {"lists": {"a": []}}, {"columns": ["text"]}, {"columns": ["who"]})
    for wrong in mistakes:
        with pytest.raises(ConfigError, match="slots"):
            Slotted(rows, **wrong)


@pytest.mark.parametrize(
    "word",
    [
        "hour",
        "apple",
        "honest man",
        "MP",
        "8",
        "11",
        "18,000",
        "80",
        "heir",
        "umbrella",
        "uninformed",
        "X-ray",
        "'inner",
    ],
)
def test_an(word: str) -> None:
    assert takes_an(word)


@pytest.mark.parametrize(
    "word", ["union", "user", "one-off", "European", "UN", "NASA", "10", "118", "1,100", "house", "ewe", "", "unit"]
)
def test_a(word: str) -> None:
    assert not takes_an(word)
