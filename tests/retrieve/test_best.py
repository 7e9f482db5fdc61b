"""The best of scores is what sorting all of them gives, ties by the row."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.retrieve._best import best_of, found_of, joined

scores = st.lists(st.sampled_from([0.0, 1.0, 2.5, -3.0, -np.inf]), max_size=30)


@given(scores, st.integers(1, 12))
def test_is_a_stable_sort(values: list[float], k: int) -> None:
    told = np.array(values, np.float32)
    wanted = [place for place in np.argsort(-told, kind="stable").tolist() if told[place] > -np.inf][:k]
    assert best_of(told, k).tolist() == wanted


@given(scores, st.integers(1, 12), st.integers(0, 30))
def test_blocks_join_to_the_whole(values: list[float], k: int, cut: int) -> None:
    told = np.array(values, np.float32)
    parts = []
    for start, some in ((0, told[:cut]), (len(told[:cut]), told[cut:])):
        best = best_of(some, k)
        parts.append(found_of([best + start], [some[best]], k))
    whole = best_of(told, k)
    both = joined(*parts)
    wanted = found_of([whole], [told[whole]], k)
    assert both.rows.tolist() == wanted.rows.tolist() and both.scores.tolist() == wanted.scores.tolist()
