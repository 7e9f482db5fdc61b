"""Noise: as much as asked, the same for a seed, and never where it would be another meaning."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import ConfigError
from pilotfish.model import Reply
from pilotfish.rows import read
from pilotfish.synthesize.augment import Noised
from pilotfish.synthesize.augment.noise import KINDS, PROTECTED, noised
from pilotfish.synthesize.augment.noise.protected import pattern_of
from pilotfish.synthesize.make import synthesize
from pilotfish.synthesize.recipe import Made
from tests.fakes import ScriptedModel

ALL = pattern_of(tuple(PROTECTED))
WORDS = ["their", "You're", "hello,", "to", "42", "$3.50", "not", "don't", "www.a.de/x", "me@b.org", "@you", "{city}"]
TEXTS = st.lists(st.sampled_from(WORDS) | st.text("abcdeXYZäß.!'", min_size=1), min_size=1, max_size=12).map(" ".join)
RATES = st.floats(0.01, 1.0)
SEEDS = st.integers(0, 2**32)


def made(text: str, seed: int, rate: float, kinds: tuple[str, ...] = KINDS) -> str:
    return noised(text, np.random.default_rng(seed), kinds=kinds, rate=rate, protected=ALL)


@given(TEXTS, SEEDS, RATES)
def test_the_same_for_a_seed(text: str, seed: int, rate: float) -> None:
    assert made(text, seed, rate) == made(text, seed, rate)


@given(TEXTS, SEEDS, RATES)
def test_protected_words_stay_whole_and_in_order(text: str, seed: int, rate: float) -> None:
    assert ALL is not None
    spans = [one.span() for one in ALL.finditer(text)]
    words = list(re.finditer(r"\S+", text))
    safe = [one.group() for one in words if any(a < one.end() and one.start() < b for a, b in spans)]
    left = iter(made(text, seed, rate).split())
    assert all(word in left for word in safe)  # `in` takes from the iterator, so in this order


@given(TEXTS, SEEDS, RATES)
def test_lengths_stay_within_what_the_kinds_can_do(text: str, seed: int, rate: float) -> None:
    words = len(text.split())
    assert len(made(text, seed, rate, ("typos", "swapped", "casing"))) == len(text)
    assert len(text) - words <= len(made(text, seed, rate, ("dropped",))) <= len(text)
    assert len(text) <= len(made(text, seed, rate, ("doubled",))) <= len(text) + words
    assert len(text) <= len(made(text, seed, rate, ("doubled-words",))) <= 2 * len(text) + words
    assert abs(len(made(text, seed, rate, ("whitespace", "punctuation"))) - len(text)) <= words
    assert made(text, seed, rate).strip() or not text.strip()


@settings(max_examples=50)
@given(SEEDS, st.sampled_from(KINDS))
def test_each_kind_does_something(seed: int, kind: str) -> None:
    text = "Where would they meet, and whether the weather is right for their sale this week?"
    assert made(text, seed, 0.01, (kind,)) != text


def test_the_rate_is_about_the_share_of_words() -> None:
    text = " ".join(["quick brown foxes"] * 400)
    for rate in (0.05, 0.3):
        words = made(text, 1, rate, ("typos",)).split()
        assert abs(np.mean([a != b for a, b in zip(words, text.split(), strict=True)]) - rate) < 0.04


def test_what_each_kind_is() -> None:
    def one(kind: str, text: str, times: int = 60) -> set[str]:
        return {made(text, seed, 0.01, (kind,)) for seed in range(times)}

    assert one("typos", "A") <= {"Q", "W", "S", "Z", "X"} and len(one("typos", "A")) > 2
    assert (
        one("swapped", "abc") == {"bac", "acb"} and one("dropped", "ab") == {"a", "b"} and one("dropped", "a") == {"a"}
    )
    assert one("doubled", "ab") == {"aab", "abb"} and one("casing", "ab") == {"AB", "Ab"}
    assert one("homophones", "Their,") == {"There,", "They're,"} and one("homophones", "fox") == {"fox"}
    assert one("punctuation", "so, it") == {"so it", *(f"so, it{mark}" for mark in ",.!?;:")}
    assert one("dropped-words", "a b c") == {"b c", "a c"} and one("dropped-words", "a") == {"a"}
    assert one("doubled-words", "a b") == {"a a b", "a b b"} and one("whitespace", "a b") == {"ab", "a  b"}
    assert one("whitespace", "a 5 b") == {"a 5 b"}  # both spaces are beside a number


def test_rows_are_made_without_a_model(tmp_path: Path) -> None:
    rows = [{"text": f"Where is my new card number {i}?", "intent": "card", "id": i} for i in range(5)]
    report = synthesize(Noised(rows, label="intent", each=3, rate=0.3), None, tmp_path, seed=4, progress=False)
    found = list(read(tmp_path / "rows.jsonl"))
    assert report.kept == len(found) == 15 - sum(report.rejected.values()) > 10 and report.ended == "done"
    assert report.model == "no model" and report.bill.calls == 0 and not (tmp_path / "calls.sqlite").exists()
    assert all(row["intent"] == "card" and str(row["id"]) in row["text"] for row in found)
    assert (
        report.findings["drift"]["rows"]
        == 15 - report.findings["drift"]["copies"] - report.findings["drift"]["strangers"]
    )
    assert "without a model" in (tmp_path / "README.md").read_text()
    again = tmp_path / "again"
    synthesize(Noised(rows, label="intent", each=3, rate=0.3), None, again, seed=4, progress=False)
    assert (again / "rows.jsonl").read_bytes() == (tmp_path / "rows.jsonl").read_bytes()
    few = synthesize(Noised(rows, each=9), None, tmp_path / "few", rows=7, progress=False)
    assert few.kept == 7 and few.whole
    with pytest.raises(ConfigError, match="no model to ask"):
        synthesize(Noised(rows), ScriptedModel(), tmp_path / "x")


def test_asked_for_numbers_are_touched_and_own_patterns_kept() -> None:
    rows = [{"text": "12345 ACME"}]
    recipe = Noised(rows, kinds=["doubled-words"], protect=["/AC.E/"], rate=1.0)
    child = next(iter(recipe.read_round(recipe.prompts(Made()), [Reply("")])))[1]
    assert isinstance(child, dict) and child["text"] == "12345 12345 ACME"
    for wrong, said in (
        ({"kinds": ["typo"]}, "typos"),
        ({"rate": 0.0}, "rate"),
        ({"protect": ["urlz"]}, "urls"),
        ({"protect": ["/(/"]}, "no pattern"),
    ):
        with pytest.raises(ConfigError, match=said):
            Noised(rows, **wrong)
