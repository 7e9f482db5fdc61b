from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.measure.folds import folds


@given(st.lists(st.integers(0, 9), min_size=2, max_size=80), st.integers(2, 5), st.integers(0, 3))
def test_every_row_is_held_out_once_and_no_group_is_on_both_sides(groups: list[int], count: int, seed: int) -> None:
    if len(set(groups)) < count:
        with pytest.raises(DataError, match="cannot be dealt"):
            list(folds(groups, count, seed))
        return
    found = list(folds(groups, count, seed))
    assert len(found) == count
    assert sorted(np.concatenate([held for _, held in found]).tolist()) == list(range(len(groups)))
    for learn, held in found:
        assert len(learn) + len(held) == len(groups)
        assert len(held)
        assert not {groups[i] for i in learn} & {groups[i] for i in held}


def test_rows_by_themselves_are_dealt_evenly_and_by_the_seed() -> None:
    sizes = [len(held) for _, held in folds(np.arange(103))]
    assert max(sizes) - min(sizes) <= 1
    first, again, other = (next(iter(folds(np.arange(50), seed=seed)))[1].tolist() for seed in (0, 0, 1))
    assert first == again != other
