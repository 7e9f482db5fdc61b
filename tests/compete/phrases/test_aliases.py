"""What a text itself says means the same."""

from __future__ import annotations

import pytest

from pilotfish.compete.phrases.aliases import abbreviations, aliases, appositions, long_form
from pilotfish.compete.phrases.pair import Pair


@pytest.mark.parametrize(
    ("short", "before", "wanted"),
    [
        ("HMM", "we trained a hidden Markov model", "hidden Markov model"),
        ("WHO", "the World Health Organization", "World Health Organization"),
        ("ACE", "inhibitors of angiotensin-converting enzyme", "angiotensin-converting enzyme"),
        ("RC", "by X-ray crystallography", "X-ray crystallography"),
        ("BP", "they measured blood pressure", "blood pressure"),
        ("XYZ", "nothing of the kind", None),
        ("AB", "fab", None),  # the first letter begins a word
        ("--", "any words", None),
    ],
)
def test_long_forms_are_those_of_schwartz_and_hearst(short: str, before: str, wanted: str | None) -> None:
    assert long_form(short, before) == wanted


def test_abbreviations_stand_on_either_side() -> None:
    texts = [
        "A hidden Markov model (HMM) is used. The HMM (hidden Markov model) again.",
        "The European Central Bank ( ECB ) and the ECB (European Central Bank).",
        "The lobster (see below) is blue (and large, too).",
        "A convolutional neural network (CNN; LeCun) reads. The cat (Cat) sat.",
    ]
    assert abbreviations(texts) == [
        Pair("hidden Markov model", "HMM", "abbreviation"),
        Pair("European Central Bank", "ECB", "abbreviation"),
        Pair("convolutional neural network", "CNN", "abbreviation"),
    ]


def test_other_names_are_found() -> None:
    texts = [
        "Mumbai (Bombay) is large. Samuel Clemens, better known as Mark Twain, wrote.",
        "The Bank of England, also known as the Old Lady of Threadneedle Street, prints money.",
        "World Health Organization (WHO) is short for it.",
        "He ( Smith ) left.",
    ]
    found = aliases(texts)
    assert Pair("Mumbai", "Bombay", "alias") in found
    assert Pair("Samuel Clemens", "Mark Twain", "alias") in found
    assert Pair("Bank of England", "Old Lady of Threadneedle Street", "alias") in [
        Pair(pair.a.removeprefix("The "), pair.b, pair.kind) for pair in found
    ]
    assert not any("WHO" in (pair.a, pair.b) for pair in found)  # that is an abbreviation
    assert not any(pair.a == "He" for pair in found)


def test_appositions_say_what_a_name_is() -> None:
    found = appositions(["Ada Lovelace, a British mathematician, wrote. Paris, the capital of France, is old."])
    assert found == [
        Pair("Ada Lovelace", "British mathematician", "apposition"),
        Pair("Paris", "capital of France", "apposition"),
    ]
    assert appositions(["London, Paris, and Rome, who are large, the Thames, and more."]) == []
