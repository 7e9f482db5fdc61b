"""Alignment: the finest groups that cover the same bytes, and none where the bytes differ."""

from __future__ import annotations

import time
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.distill.cross import Group, Pieces, align
from tests.distill.cross.tokenizers import ids, sentencepiece
from tests.tiny import TEXTS, tokenizer


def _cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(edge % (len(data) + 1) for edge in at)})
    return [data[a:b] for a, b in pairwise(edges)]


def _covered(groups: list[Group], pieces: list[bytes], side: int) -> list[bytes]:
    return [b"".join(pieces[slice(*group[side])]) for group in groups]


@given(st.binary(min_size=1, max_size=60), st.lists(st.integers(0, 60)), st.lists(st.integers(0, 60)))
def test_of_one_text_they_are_all_of_it_and_the_finest(data: bytes, ours: list[int], theirs: list[int]) -> None:
    student, teacher = _cut(data, ours), _cut(data, theirs)
    groups = align(student, teacher)
    common = sorted({*accumulate(map(len, student))} & {*accumulate(map(len, teacher))})
    assert [*accumulate(map(len, _covered(groups, student, 0)))] == common
    assert _covered(groups, student, 0) == _covered(groups, teacher, 1)
    for side, pieces in enumerate((student, teacher)):
        assert [i for group in groups for i in range(*group[side])] == list(range(len(pieces)))


@given(st.lists(st.binary(max_size=4), max_size=30), st.lists(st.binary(max_size=4), max_size=30))
def test_of_any_texts_the_groups_agree_and_are_in_order(student: list[bytes], teacher: list[bytes]) -> None:
    groups = align(student, teacher)
    assert _covered(groups, student, 0) == _covered(groups, teacher, 1)
    for side in (0, 1):
        spans = [group[side] for group in groups]
        assert all(start < end for start, end in spans)
        assert all(one[1] <= other[0] for one, other in pairwise(spans))
        pieces = (student, teacher)[side]
        assert all(pieces[i] for span in spans for i in range(*span))


@given(st.lists(st.binary(max_size=3), max_size=30))
def test_of_equal_tokens_each_is_a_group(pieces: list[bytes]) -> None:
    assert align(pieces, pieces) == [Group((i, i + 1), (i, i + 1)) for i, piece in enumerate(pieces) if piece]


def test_special_tokens_belong_to_no_group() -> None:
    student = [b"", b"He", b"llo", b"", b" you", b""]
    teacher = [b"Hello", b" y", b"ou"]
    assert align(student, teacher) == [Group((1, 3), (0, 1)), Group((4, 5), (1, 3))]
    # One within what the other side has as one token: what the two read there is not the same.
    assert align([b"He", b"", b"llo", b"!"], [b"Hello", b"!"]) == [Group((3, 4), (1, 2))]
    assert align([], [b"a"]) == align([b""], [b""]) == []


def test_a_space_in_front_costs_one_group() -> None:
    assert align([b" Hello", b" you"], [b"Hel", b"lo", b" you"]) == [Group((1, 2), (2, 3))]
    assert align([b" ", b"Hello"], [b"Hel", b"lo"]) == [Group((1, 2), (0, 2))]


def test_changed_characters_cost_the_groups_they_are_in() -> None:
    student = [b"The", b" caf\xc3\xa9", b" was", b" NICE", b" today"]
    teacher = [b"the", b" cafe", b"\xcc\x81", b" was", b" nice", b" today"]
    assert align(student, teacher) == [Group((2, 3), (3, 4)), Group((4, 5), (5, 6))]


@pytest.mark.parametrize("text", TEXTS)
def test_real_tokenizers(text: str) -> None:
    level, small, piece = tokenizer(), tokenizer("melting", vocabulary=300), sentencepiece()
    readings = [Pieces(one)(ids(one, text)) for one in (level, small, piece)]
    for ours in readings:
        for theirs in readings:
            groups = align(ours, theirs)
            found = b"".join(_covered(groups, ours, 0))
            assert found == b"".join(_covered(groups, theirs, 1))
            if (ours is readings[2]) == (theirs is readings[2]):
                assert found == b"".join(ours)
            else:  # SentencePiece's space before the first word costs the groups that it is in
                assert groups and text.encode().endswith(found)
                assert len(found) >= len(text.encode()) - max(len(ours[0]), len(theirs[0])) - 16


def test_long_texts_take_no_time() -> None:
    text = ("Where is my card? I Want a refund, café. " * 2500).encode()
    student, teacher = _cut(text, list(range(0, len(text), 3))), _cut(text.lower(), list(range(0, len(text), 4)))
    started = time.perf_counter()
    assert len(align(student, teacher)) > 10_000 * 0.1
    assert len(align(student, _cut(text, list(range(0, len(text), 4))))) >= len(text) // 12
    assert time.perf_counter() - started < 10
