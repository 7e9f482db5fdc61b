"""Answers and evidence in windows, and what windows say together."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.models.classify.calibration import Platt
from pilotfish.models.encoder import Encoder
from pilotfish.repair.tokens.combined import Combined, least
from pilotfish.repair.tokens.rows import Answered, answered_rows, marked, words_of
from pilotfish.repair.tokens.windows import Cutter, _cuts

WORDS = st.lists(st.sampled_from(["the", "cat", "dog", "sat", "2024", "bird", "xyzzy", "refund,"]), max_size=60)


@given(WORDS, WORDS, st.integers(20, 64), st.integers(0, 40))
def test_every_word_is_read_with_every_piece_of_the_evidence(
    tiny_encoder: Encoder, said: list[str], known: list[str], length: int, before: int
) -> None:
    answer, context = " ".join(said), " ".join(known)
    row = Answered(answer, context, "where?", before=min(before, len(answer)))
    (pieces,) = Cutter(tiny_encoder.tokenizer, length).cut([row])
    assert list(pieces.words) == words_of(answer, row.before)
    seen = sorted({word for some in pieces.windows for word in some[0].words})
    assert seen == list(range(len(pieces.words)))
    vocabulary = tiny_encoder.tokenizer
    for some in pieces.windows:
        for window in some:
            assert len(window.ids) == len(window.types) <= length
            assert window.words == some[0].words
            assert all(window.types[at] == 1 for at in window.at)
            assert window.features.shape == (len(window.at), 4)
        if known:
            # The pieces of the evidence hold all of it, and overlap.
            held = [vocabulary.decode(window.ids) for window in some]
            assert all(any(word.strip(",") in text for text in held) for word in known if word != "xyzzy")


@given(st.integers(0, 500), st.integers(1, 100))
def test_pieces_cover_all_and_overlap(count: int, room: int) -> None:
    cuts = _cuts(count, room)
    assert cuts[0][0] == 0
    assert cuts[-1][1] == count
    assert all(b - a <= room for a, b in cuts)
    assert all(one[1] >= two[0] > one[0] for one, two in pairwise(cuts))


def test_what_is_known_of_a_word(tiny_encoder: Encoder) -> None:
    row = Answered("The cat sat 12 times", "a cat sat there in 2024", "times?")
    (pieces,) = Cutter(tiny_encoder.tokenizer, 64).cut([row])
    ((window,),) = pieces.windows
    by_word = {word: facts.tolist() for word, facts in zip(window.words, window.features, strict=True)}
    # It stands there, with the word before it; is a number that does not; is in any text.
    assert by_word == {0: [0, 0, 0, 1], 1: [1, 0, 0, 0], 2: [1, 1, 0, 0], 3: [0, 0, 1, 0], 4: [1, 0, 0, 0]}
    assert window.shared == 3


LOGITS = st.lists(st.lists(st.floats(-8, 8), min_size=3, max_size=3), min_size=1, max_size=6)


@given(LOGITS, st.integers(1, 30), st.floats(0.1, 3), st.floats(-2, 2))
def test_pieces_that_say_nothing_do_not_outvote_the_one_with_the_evidence(
    logits: list[list[float]], more: int, slope: float, offset: float
) -> None:
    table = np.array(logits)
    idle = np.full((more, 3), table.max() + 1.0)
    assert np.array_equal(least(np.concatenate([table, idle])), least(table))
    rule = Combined(slope, offset)
    assert np.array_equal(rule(least(np.concatenate([table, idle])), len(table) + more), rule(least(table), len(table)))
    # A mean would be carried off by them.
    supported = np.array([[-6.0] * 3])
    crowd = np.concatenate([supported, np.full((9, 3), 4.0)])
    assert Combined()(least(crowd), 10).max() < 0.01
    assert Combined()(crowd.mean(axis=0), 10).min() > 0.9


@given(st.floats(-5, 5), st.floats(-5, 5), st.integers(1, 9), st.floats(0, 2))
def test_the_more_is_said_against_a_word_the_likelier_it_is_a_fault(a: float, b: float, k: int, growth: float) -> None:
    rule = Combined(0.8, -0.3, growth)
    low, high = sorted((a, b))
    assert rule([low], k)[0] <= rule([high], k)[0]
    # The same least score of more windows says less for the word.
    assert rule([a], k)[0] <= rule([a], k + 1)[0]


def test_the_calibration_is_honest_for_any_number_of_windows() -> None:
    dice = np.random.default_rng(0)
    count = 40_000
    faulty = dice.random(count) < 0.3
    windows = dice.choice([1, 2, 4, 8], count)
    # Each window draws its own noise; what bears a right word out is one of them.
    noise = dice.normal(size=(count, 8)) * 1.2
    table = 2.0 + noise
    table[~faulty, 0] -= 3.0
    table[np.arange(8)[None, :] >= windows[:, None]] = np.inf
    logits = table.min(axis=1)
    rule = Combined.fit(logits, windows, faulty)
    plain = Platt.fit(logits, faulty)
    assert rule.growth > 0.3
    p, q = rule(logits, windows), plain(logits)
    for number in (1, 2, 4, 8):
        mine = windows == number
        assert abs(p[mine].mean() - faulty[mine].mean()) < 0.03
    # Without the number of windows it is not.
    assert max(abs(q[windows == n].mean() - faulty[windows == n].mean()) for n in (1, 8)) > 0.06
    assert Combined.from_json(rule.to_json()) == rule


def test_with_one_window_each_it_is_platts() -> None:
    dice = np.random.default_rng(1)
    logits = dice.normal(size=500)
    faulty = dice.random(500) < 1 / (1 + np.exp(-2 * logits))
    rule, plain = Combined.fit(logits, np.ones(500), faulty), Platt.fit(logits, faulty)
    assert (rule.slope, rule.offset, rule.growth) == (plain.slope, plain.offset, 0.0)
    assert Combined.fit(logits, np.ones(500), np.zeros(500)) == Combined()


def test_rows_are_read_and_faults_told() -> None:
    rows: list[dict[str, Any]] = [
        {
            "question": "q",
            "context": ["a b", "c"],
            "answer": "one two",
            "labels": [{"start": 4, "end": 7, "label": "x"}],
        },
        {"context": "d", "answer": "fine", "faulty": 0},
    ]
    one, two = answered_rows(rows)
    assert (one.context, one.spans, one.faulty, one.is_faulty) == ("a b\n\nc", ((4, 7),), None, True)
    assert (two.spans, two.is_faulty, two.document) == (None, False, "d")
    assert answered_rows(rows, kinds=["y"])[0].spans == ()
    assert marked(words_of("one two"), one.spans or ()).tolist() == [False, True]
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"labels": [{"start": 4, "end": 9}]}, "no span"),
        ({"labels": "x"}, "not a list"),
        ({"labels": None}, "neither"),
        ({"labels": [], "faulty": True}, "says True"),
        ({"faulty": "yes", "labels": None}, "'yes'"),
        ({"answer": 3}, "int, not text"),
    )
    for wrong, said in cases:
        with pytest.raises(DataError, match=f"row 1.*{said}"):
            answered_rows([rows[0] | wrong])
    with pytest.raises(ConfigError, match="16 tokens"):
        Cutter(None, 8)
