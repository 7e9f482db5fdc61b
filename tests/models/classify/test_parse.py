"""Labels read out of what a model wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.models.classify._parse import parse_label, plain

INTENTS = {
    "refund": "refund",
    "refund_status": "refund status",
    "card_arrival": "card arrival",
    "card": "card",
    "top_up": "top-up",
}
STARS = {"0": "negative", "1": "positive"}
SIGNS = {"+1": "+1", "-1": "-1", "c": "C", "c++": "C++"}


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("refund", "refund"),
        ("Refund Status.", "refund_status"),
        ("  card_arrival\n", "card_arrival"),
        ("**card arrival**", "card_arrival"),
        ("'Top up'", "top_up"),
        ("refund status\nbecause they ask about a refund", "refund_status"),
        ("The category is: refund status", "refund_status"),
        ("Category: card arrival (card arrival)", "card_arrival"),
        ("card arrival card arrival", "card_arrival"),
        ("I think this is about a Refund!", "refund"),
        ('{"label": "refund status"}', "refund_status"),
        ('Sure: {"category": "card", "reason": "not a refund"}', "card"),
        ('```json\n{"x": "TOP UP"}\n```', "top_up"),
        ("refund or card arrival", None),
        ("refunds", None),
        ("discard", None),
        ("", None),
        ("...", None),
        ("I cannot say.", None),
        ('{"label": "weather"}', None),
        ('{"label": ["refund"', "refund"),
        ("{}", None),
        ("{1}", None),
    ],
)
def test_intents(answer: str, label: str | None) -> None:
    assert parse_label(answer, INTENTS) == label


@pytest.mark.parametrize(
    ("answer", "label"),
    [("negative", "0"), ("Positive", "1"), ("1", "1"), ("The answer is 0.", "0"), ('{"label": 1}', "1"), ("10", None)],
)
def test_numbers_with_names(answer: str, label: str | None) -> None:
    assert parse_label(answer, STARS) == label


@pytest.mark.parametrize(
    ("answer", "label"),
    [("+1", "+1"), ("-1", "-1"), (" -1.", "-1"), ("c++", "c++"), ("C", "c"), ("the answer is 1", None), ("1", None)],
)
def test_labels_that_differ_by_signs_alone_are_not_mixed_up(answer: str, label: str | None) -> None:
    assert parse_label(answer, SIGNS) == label


def test_labels_without_letters_are_found_as_they_are_only() -> None:
    faces = {"😀": "😀", "😡": "😡"}
    assert parse_label(" 😡 ", faces) == "😡"
    assert parse_label("", faces) is None
    assert parse_label("?!", faces) is None


def test_the_name_that_was_shown_comes_before_a_label_of_the_same_text() -> None:
    swapped = {"a": "b", "b": "a"}
    assert parse_label("b", swapped) == "a"
    assert parse_label("a", swapped) == "b"


NAMES = st.lists(
    st.text(alphabet="ab c", min_size=1, max_size=6).map(plain).filter(bool), min_size=2, max_size=5, unique=True
)


@given(NAMES, st.data())
def test_every_name_is_found_by_itself_and_in_a_sentence(names: list[str], data: st.DataObject) -> None:
    shown = {f"label {i}": name for i, name in enumerate(names)}
    label = data.draw(st.sampled_from(list(shown)))
    assert parse_label(shown[label].upper(), shown) == label
    assert parse_label(f'{{"x": "{shown[label]}"}}', shown) == label
    assert parse_label(f"It says: «{shown[label]}», yes", shown) == label


@given(st.text(max_size=30), NAMES)
def test_whatever_the_answer_the_label_is_a_known_one_or_none(answer: str, names: list[str]) -> None:
    shown = {name: name for name in names}
    assert parse_label(answer, shown) in (*names, None)
