"""Pairs: each once in either order, and what hangs together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.phrases.pair import Pair, components_of, distinct, normal
from pilotfish.compete.phrases.parts import parts_of
from pilotfish.errors import DataError

NAMES = st.sampled_from([f"p{i}" for i in range(12)])


def test_a_pair_is_there_once_whatever_its_order_and_case() -> None:
    given = [
        Pair("Big  Dog", "hound", "x"),
        Pair("HOUND", "big dog", "y"),
        Pair("a", "A "),
        Pair("", "b"),
        Pair("c", "d"),
    ]
    assert distinct(given) == [given[0], given[4]]
    assert distinct(given, [("D", "c")]) == [given[0]]


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=14))
def test_components_are_those_of_the_graph(ends: list[tuple[str, str]]) -> None:
    found = components_of([Pair(a, b) for a, b in ends])
    groups: list[set[str]] = []
    for a, b in ends:
        joined = {a, b}.union(*(group for group in groups if group & {a, b}))
        groups = [group for group in groups if not group & {a, b}] + [joined]
    for i, one in enumerate(ends):
        for j, other in enumerate(ends):
            same = next(group for group in groups if one[0] in group) is next(g for g in groups if other[0] in g)
            assert (found[i] == found[j]) == same


@given(st.lists(st.tuples(NAMES, NAMES), min_size=0, max_size=30), st.integers(0, 3))
def test_no_phrase_stands_in_two_parts(ends: list[tuple[str, str]], seed: int) -> None:
    lone = [Pair(f"a{i}", f"b{i}") for i in range(30)]
    pairs = distinct([Pair(a, b) for a, b in ends] + lone)
    parts = parts_of(pairs, 0.2, seed)
    sets = [{normal(text) for i in rows for text in (pairs[i].a, pairs[i].b)} for rows in parts.values()]
    assert len(sets) == 3 and all(sets)
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
    # These are many small groups: none is left out.
    assert sum(map(len, parts.values())) == len(pairs)


def test_where_all_hangs_together_some_are_left_out() -> None:
    ring = [Pair(f"p{i}", f"p{i + 1}") for i in range(100)]
    parts = parts_of(ring, 0.1, 0)
    used = sum(map(len, parts.values()))
    assert all(map(len, parts.values())) and used < len(ring)
    sets = [{text for i in rows for text in (ring[i].a, ring[i].b)} for rows in parts.values()]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
    with pytest.raises(DataError, match="too few"):
        parts_of(ring[:5], 0.1, 0)
    with pytest.raises(DataError, match="so few phrases"):
        parts_of([Pair("hub", f"p{i}") for i in range(40)], 0.1, 0)
