"""Names as they are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.entities.names import initials, normalised


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Skłodowska-Curie", "skłodowska curie"),
        ("  Émile   Zola ", "emile zola"),
        ("U.S. Steel", "us steel"),
        ("J.K. Rowling", "jk rowling"),
        ("AC/DC", "ac dc"),
        ("McDonald's", "mcdonald"),
        ("C++", "c++"),
        ("Carl_Sagan", "carl sagan"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("ﬁre", "fire"),
        ("!!!", "!!!"),
        ("", ""),
        ("日本語", "日本語"),
    ],
)
def test_case_accents_and_signs_go(name: str, wanted: str) -> None:
    assert normalised(name) == wanted


@given(st.text(max_size=20))
def test_it_changes_nothing_twice(name: str) -> None:
    assert normalised(normalised(name)) == normalised(name)


def test_initials() -> None:
    assert initials(normalised("World Health Organization")) == "who"
