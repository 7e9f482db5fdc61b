"""Few-shot selection: near, apart, of each class; never a copy of the row itself."""

from __future__ import annotations

import numpy as np
import pytest

from pilotfish.errors import ConfigError
from pilotfish.synthesize.labels import Shots

ANGLES = np.array([0.0, 0.05, 0.1, 0.8, 1.5, 3.0])
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
KEYS = list("abcdef")
CLASSES = ["x", "x", "x", "y", "y", "z"]


def test_near_takes_the_nearest_and_shows_them_last() -> None:
    shots = Shots(KEYS, CLASSES, 3, select="near", vectors=VECTORS)
    assert shots.of("q", VECTORS[0]) == [2, 1, 0]
    assert shots.of("a", VECTORS[0]) == [3, 2, 1]  # its own copy is not shown


def test_mmr_takes_what_is_near_but_not_the_same_again() -> None:
    found = Shots(KEYS, CLASSES, 3, select="mmr", vectors=VECTORS, relevance=0.3).of("q", VECTORS[0])
    assert found[-1] == 0 and set(found) != {0, 1, 2}
    alone = Shots(KEYS, CLASSES, 3, select="mmr", vectors=VECTORS, relevance=1.0).of("q", VECTORS[0])
    assert alone == [2, 1, 0]
    assert len(Shots(KEYS, CLASSES, 9, select="mmr", vectors=VECTORS).of("a", VECTORS[0])) == 5


def test_balanced_takes_each_class_in_turn() -> None:
    assert set(Shots(KEYS, CLASSES, 3, select="balanced", vectors=VECTORS).of("q", VECTORS[0])) == {0, 3, 5}
    assert set(Shots(KEYS, CLASSES, 4, select="balanced", vectors=VECTORS).of("q", VECTORS[0])) == {0, 1, 3, 5}


def test_random_is_seeded_and_the_same_for_all_rows() -> None:
    shots = Shots(KEYS, CLASSES, 3, select="random", seed=1)
    assert shots.of("q") == shots.of("r") == Shots(KEYS, CLASSES, 3, select="random", seed=1).of("q")
    dropped = shots.of("q")[0]
    assert dropped not in shots.of(KEYS[dropped]) and len(shots.of(KEYS[dropped])) == 3


def test_mistakes_are_told() -> None:
    for count, settings in (
        (2, {"select": "near"}),
        (2, {"select": "nearest"}),
        (-1, {"select": "random"}),
        (2, {"vectors": VECTORS[:3]}),
        (2, {"vectors": VECTORS, "relevance": 2}),
    ):
        with pytest.raises(ConfigError):
            Shots(KEYS, CLASSES, count, **settings)
    with pytest.raises(ConfigError):
        Shots([], [], 2, select="random")
    assert Shots([], [], 0, select="random").of("q") == []
