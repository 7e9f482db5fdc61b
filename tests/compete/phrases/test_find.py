"""Phrases of texts: counted, tied, and where they stand."""

from __future__ import annotations

import math

import pytest

from pilotfish.compete.phrases.find import phrases_in
from pilotfish.errors import ConfigError

TEXTS = [
    "The exchange rate fell. An exchange rate is a price.",
    "Exchange rate, or the rate of exchange: what a currency costs.",
    "The currency of Japan is the yen, and its rate rose.",
]


def test_phrases_are_counted_and_stand_where_they_stand() -> None:
    found = {one.text.casefold(): one for one in phrases_in(TEXTS, least=2)}
    assert {name: one.count for name, one in found.items()} == {
        "rate": 5, "exchange": 4, "exchange rate": 3, "currency": 2,
    }  # fmt: skip
    assert found["exchange rate"].text == "exchange rate"  # as it is most often written
    for one in found.values():
        assert len(one.places) == one.count
        for place in one.places:
            assert place.phrase.casefold() == one.text.casefold()
    assert list(found) == ["rate", "exchange", "exchange rate", "currency"]  # the most frequent first


def test_ties_are_normalised_mutual_information() -> None:
    found = {one.text: one for one in phrases_in(TEXTS, least=2)}
    words = 32
    own = math.log(3 / words)
    wanted = (own - math.log(4 / words) - math.log(5 / words)) / -own
    assert found["exchange rate"].tied == pytest.approx(wanted)
    assert "exchange rate" not in {one.text for one in phrases_in(TEXTS, least=2, tied=0.99)}
    always = phrases_in(["hot dog here", "dull hot dog", "a hot dog"], least=3)
    assert {one.text: round(one.tied, 9) for one in always} == {"hot": 1.0, "dog": 1.0, "hot dog": 1.0}


def test_no_sign_and_no_function_word_at_an_end() -> None:
    found = {one.text for one in phrases_in(["state of the art. New York, London 7 x-ray e_mail"], least=1, tied=-1)}
    assert found >= {"state", "art", "New York", "x-ray"}
    assert not found & {"state of", "the art", "art New", "York London", "7", "of"}
    assert "state of the art" not in found  # four words
    assert "state of the art" in {one.text for one in phrases_in(["state of the art"], least=1, longest=4, tied=-1)}
    german = {one.text for one in phrases_in(["Der Stand der Kunst"], least=1, tied=-1, function_words=["der"])}
    assert german == {"Stand", "Kunst", "Stand der Kunst"}


def test_only_some_places_are_kept() -> None:
    one = phrases_in(["dog"] * 9, places=4)[0]
    assert one.count == 9 and len(one.places) == 4


def test_numbers_out_of_range_are_said() -> None:
    for wrong in ({"least": 0}, {"longest": 0}, {"tied": 2.0}):
        with pytest.raises(ConfigError):
            phrases_in(TEXTS, **wrong)
    assert phrases_in([]) == []
