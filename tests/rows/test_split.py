from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows.split import split

PARTS = st.sampled_from(
    [{"train": 0.8, "test": 0.2}, {"train": 0.7, "dev": 0.1, "test": 0.2}, {"test": 0.5, "train": 0.5}, {"all": 1.0}]
)
LABELS = st.lists(st.sampled_from("aaaabbbccd"), min_size=1, max_size=120)


def check_partition(found: dict[str, Any], count: int) -> None:
    assert sorted(np.concatenate(list(found.values())).tolist()) == list(range(count))
    for rows in found.values():
        assert rows.dtype == np.int64
        assert rows.tolist() == sorted(rows.tolist())


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), PARTS, st.integers(0, 5))
def test_every_row_is_in_one_part_of_the_right_size(count: int, parts: dict[str, float], seed: int) -> None:
    found = split(count, parts, seed)
    check_partition(found, count)
    for name, share in parts.items():
        assert math.floor(count * share - 1e-6) <= len(found[name]) <= math.ceil(count * share + 1e-6)
    again = split(count, parts, seed)
    assert all(np.array_equal(found[name], again[name]) for name in parts)


@settings(max_examples=150, deadline=None)
@given(LABELS, PARTS, st.integers(0, 3))
def test_strata_keep_their_shares(labels: list[str], parts: dict[str, float], seed: int) -> None:
    found = split(len(labels), parts, seed, stratify=labels)
    check_partition(found, len(labels))
    home = "train" if "train" in parts else next(iter(parts))
    for label, size in Counter(labels).items():
        counts = {name: sum(labels[row] == label for row in rows) for name, rows in found.items()}
        assert counts[home] >= 1
        if counts[home] > 1 or size * parts[home] >= 1:  # else a row was brought home
            for name, share in parts.items():
                assert abs(counts[name] - size * share) < 1
    # What rounding gives or takes evens out over the classes.
    for name, share in parts.items():
        assert abs(len(found[name]) - len(labels) * share) < 1 + len(parts) + len(set(labels)) / 2


def test_rounding_evens_out_over_many_small_classes() -> None:
    labels = [kind for kind in range(77) for _ in range(7)]
    found = split(len(labels), {"train": 0.8, "test": 0.2}, stratify=labels)
    assert abs(len(found["test"]) - 0.2 * len(labels)) <= 1


@settings(max_examples=150, deadline=None)
@given(st.data(), PARTS, st.integers(0, 3), st.booleans())
def test_groups_never_straddle(data: st.DataObject, parts: dict[str, float], seed: int, stratified: bool) -> None:
    groups = data.draw(st.lists(st.integers(0, 40), min_size=1, max_size=120))
    labels = data.draw(st.lists(st.sampled_from("aab"), min_size=len(groups), max_size=len(groups)))
    found = split(len(groups), parts, seed, stratify=labels if stratified else None, group=groups)
    check_partition(found, len(groups))
    home_of = {groups[row]: name for name, rows in found.items() for row in rows}
    assert all(home_of[groups[row]] == name for name, rows in found.items() for row in rows)
    if stratified:
        home = "train" if "train" in parts else next(iter(parts))
        assert {labels[row] for row in found[home]} == set(labels)
    again = split(len(groups), parts, seed, stratify=labels if stratified else None, group=np.array(groups))
    assert all(np.array_equal(found[name], again[name]) for name in parts)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=20, max_size=150), st.integers(0, 3))
def test_small_groups_come_near_the_shares_in_every_class(sizes: list[int], seed: int) -> None:
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    labels = ["ab"[group % 2] for group in groups]
    found = split(len(groups), {"train": 0.7, "test": 0.3}, seed, stratify=labels, group=groups)
    for label in "ab":
        size = labels.count(label)
        held = sum(labels[row] == label for row in found["test"])
        assert abs(held - 0.3 * size) <= 6


def test_seeds_and_columns() -> None:
    rows = [{"y": "ab"[n % 2], "g": n // 3} for n in range(60)]
    a = split(rows, seed=0, stratify="y", group="g")
    b = split(rows, seed=1, stratify="y", group="g")
    assert not np.array_equal(a["test"], b["test"])
    assert not np.array_equal(split(60, seed=0)["test"], split(60, seed=1)["test"])
    assert not np.array_equal(split(60)["test"], np.arange(48, 60))


def test_a_class_of_one_row_goes_to_train() -> None:
    for seed in range(20):
        found = split(11, {"test": 0.9, "train": 0.1}, seed, stratify=["a"] * 10 + ["b"])
        assert 10 in found["train"]


def test_what_is_wrong_is_one_clear_line() -> None:
    with pytest.raises(ConfigError, match=r"sum to 1, not train 0\.8, test 0\.3"):
        split(10, {"train": 0.8, "test": 0.3})
    with pytest.raises(ConfigError, match="above 0"):
        split(10, {"train": 1.0, "test": 0.0})
    with pytest.raises(DataError, match="no rows to split"):
        split([])
    with pytest.raises(DataError, match=r"row 2: no column 'label'"):
        split([{"label": 1}, {"text": 2}], stratify="label")
    with pytest.raises(DataError, match="3 rows but 2 values to stratify by"):
        split(3, stratify=["a", "b"])
    with pytest.raises(ConfigError, match="names a column"):
        split(3, stratify="label")
    with pytest.raises(DataError, match="cannot group by lists"):
        split([{"g": [1]}, {"g": [2]}], group="g")
