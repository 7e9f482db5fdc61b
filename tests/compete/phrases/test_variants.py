"""Variants: another spelling, other forms, another order; typing errors."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.phrases.pair import Pair
from pilotfish.compete.phrases.variants import spelt, typed_wrong, variants


def test_each_kind_is_found_once() -> None:
    found = variants(
        ["e-mail", "email", "email address", "email addresses", "history of art", "art history", "cat", "art histories"]
    )
    assert set(found) == {
        Pair("e-mail", "email", "spelling"),
        Pair("email address", "email addresses", "morphology"),
        Pair("art history", "art histories", "morphology"),
        Pair("history of art", "art history", "order"),
        Pair("history of art", "art histories", "order"),
    }


def test_spellings_differ_in_signs_alone() -> None:
    assert spelt("U.S.A.") == spelt("USA") and spelt("E-Mail") == spelt("e mail") == "email"
    assert spelt("mail") != spelt("mails")
    assert variants(["one"]) == [] and variants(["data base", "database"])[0].kind == "spelling"


def test_other_languages_have_other_forms() -> None:
    assert variants(["Katze", "Katzen"], language="german") == [Pair("Katze", "Katzen", "morphology")]


@given(st.lists(st.text("abcdefgh 1", min_size=1, max_size=14), max_size=6), st.integers(0, 3))
def test_a_typing_error_is_one_edit_and_keeps_a_word_s_first_letter(phrases: list[str], seed: int) -> None:
    found = typed_wrong(phrases, seed)
    assert found == typed_wrong(phrases, seed)
    for pair in found:
        assert pair.kind == "typo" and pair.a in phrases and pair.a != pair.b
        assert abs(len(pair.a) - len(pair.b)) <= 1
        assert [word[0] for word in pair.a.split()] == [word[0] for word in pair.b.split()]
        same = sum(x == y for x, y in zip(pair.a, pair.b, strict=False))
        ends = 0
        while ends < min(len(pair.a), len(pair.b)) and pair.a[-1 - ends] == pair.b[-1 - ends]:
            ends += 1
        start = next((i for i, (x, y) in enumerate(zip(pair.a, pair.b, strict=False)) if x != y), same)
        # All before and all behind the error is as it was; two letters are swapped at most.
        assert start + ends >= min(len(pair.a), len(pair.b)) - 2
