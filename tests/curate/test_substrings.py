"""Passages that repeat are those that comparing all with all finds; they are cut out where they come again."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilotfish.curate import curate
from pilotfish.curate.sift import Dropped
from pilotfish.curate.substrings import Substrings
from pilotfish.errors import ConfigError
from pilotfish.rows import _sketch_windows

Rows = list[list[str]]
PASSAGE = " ".join(f"word{n}" for n in range(60))


def compared(rows: Rows, n: int, keep: str) -> list[set[int]]:
    """The words that go, by comparing every two places of all texts: the longest run that both begin."""
    gone: list[set[int]] = [set() for _ in rows]
    places = [(row, at) for row, words in enumerate(rows) for at in range(len(words))]
    for i, (row, at) in enumerate(places):
        for other, there in places[i + 1 :]:
            if row == other and there - at < n:
                continue
            size = 0
            while (
                at + size < len(rows[row])
                and there + size < len(rows[other])
                and rows[row][at + size] == rows[other][there + size]
            ):
                size += 1
            if size >= n:
                gone[other] |= set(range(there, there + size))
                if keep == "none":
                    gone[row] |= set(range(at, at + size))
    return gone


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.sampled_from("abc"), max_size=14), max_size=6),
    st.integers(2, 5),
    st.sampled_from(["first", "none"]),
    st.integers(3, 50),
)
def test_what_goes_is_what_comparing_all_finds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rows: Rows, n: int, keep: Any, room: int
) -> None:
    monkeypatch.setattr("pilotfish.curate.substrings._ROOM", room)
    monkeypatch.setattr(_sketch_windows, "batches", lambda texts: iter([(k, k + 1) for k in range(len(texts))]))
    texts = [" \n".join(words) for words in rows]
    decide = Substrings(n, keep=keep, shortest=0).look(iter({"text": text} for text in texts), tmp_path)
    for number, (words, gone) in enumerate(zip(rows, compared(rows, n, keep), strict=True)):
        judged = decide(number, {"text": texts[number]})
        assert not isinstance(judged, Dropped) and ("substrings" in judged) == bool(gone)
        left = [word for place, word in enumerate(words) if place not in gone]
        assert judged.get("text", texts[number]).split() == left
        cut = "".join(texts[number][start:end] for start, end, _ in judged.get("substrings", []))
        assert re.sub(r"\s", "", cut) == "".join(word for place, word in enumerate(words) if place in gone)


def made(tmp_path: Path, texts: list[str], **options: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Any]:
    rows = [{"id": n, "text": text} for n, text in enumerate(texts)]
    report = curate(rows, [Substrings(**options)], tmp_path, progress=False)
    kept, left = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("kept.jsonl", "dropped.jsonl")
    )
    return kept, left, report


def test_passages_are_cut_and_told(tmp_path: Path) -> None:
    second = f"Before it.\n\n{PASSAGE.replace(' ', '  ')} After it."
    kept, left, report = made(tmp_path, [f"One {PASSAGE} two", second, "other text", PASSAGE, ""])
    assert [row["text"] for row in kept] == [f"One {PASSAGE} two", "Before it.\n\n After it.", "other text", ""]
    assert "substrings" not in kept[0]
    ((start, end, row),) = kept[1]["substrings"]
    assert row == 1 and second[start:end].split() == PASSAGE.split()
    assert left[0]["reason"].startswith("substrings.short: 0 words are left against at least 1; 100.0% of the words")
    assert left[0]["row"]["substrings"] == [[0, len(PASSAGE), 1]] and report.steps[0].reasons == {"substrings.short": 1}


def test_rows_go_by_their_share_and_none_is_kept(tmp_path: Path) -> None:
    long = " ".join(f"own{n}" for n in range(100))
    kept, left, _ = made(tmp_path / "a", [PASSAGE, f"{PASSAGE} {long}", f"{PASSAGE} and a little"], drop=0.5)
    assert [row["id"] for row in kept] == [0, 1] and kept[1]["text"] == long
    assert left[0]["reason"].startswith("substrings: 95.2% of the words stand in row 1")
    assert left[0]["row"]["text"].startswith(PASSAGE)
    texts = [f"{PASSAGE} a", "alone", f"{PASSAGE} b", PASSAGE.rsplit(" ", 1)[0]]
    kept, left, _ = made(tmp_path / "b", texts, keep="none")
    assert [row["text"] for row in kept] == ["a", "alone", "b"] and len(left) == 1


def test_many_rows_in_small_parts_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(0)
    words = [f"w{n}" for n in range(500)]
    pool = [" ".join(dice.choices(words, k=30)) for _ in range(40)]
    texts = [" ".join([*dice.choices(words, k=20), dice.choice(pool), *dice.choices(words, k=5)]) for _ in range(300)]
    whole = made(tmp_path / "a", texts, words=20)[:2]
    monkeypatch.setattr("pilotfish.curate.substrings._ROOM", 777)
    assert made(tmp_path / "b", texts, words=20)[:2] == whole
    assert sum("substrings" in row for row in whole[0]) == 300 - len({t for t in pool if any(t in x for x in texts)})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"words": 1}, "at least 2 words"),
        ({"keep": "last"}, "first or none"),
        ({"drop": 0.0}, "share of words"),
        ({"shortest": -1}, "0 or more"),
        ({"into": "text"}, "where the text is"),
    ],
)
def test_settings_that_cannot_be(wrong: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Substrings(**wrong)
