"""Blocks against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.compete.entities.match import Blocking
from pilotfish.errors import ConfigError, DataError

texts = st.lists(st.text("ab c", max_size=6), min_size=1, max_size=7)


def records(some: list[str]) -> list[dict[str, str]]:
    return [{"t": text, "other": "zzz"} for text in some]


@given(texts, texts)
def test_all_that_share_a_word_are_there(left: list[str], right: list[str]) -> None:
    blocks = Blocking("words", ["t"], k=None, largest=1.0).pairs(records(left), records(right))
    wanted = {
        (a, b) for a, one in enumerate(left) for b, other in enumerate(right) if set(one.split()) & set(other.split())
    }
    found = set(zip(blocks.left.tolist(), blocks.right.tolist(), strict=True))
    assert found == wanted and blocks.reduction == pytest.approx(1 - len(wanted) / (len(left) * len(right)))
    assert ((blocks.weight > 0) & (blocks.weight < 1 + 1e-9)).all()


@settings(max_examples=30)
@given(texts, texts, st.integers(1, 3))
def test_the_heaviest_are_kept(left: list[str], right: list[str], k: int) -> None:
    every = Blocking("trigrams", ["t"], k=None, largest=1.0).pairs(records(left), records(right))
    some = Blocking("trigrams", ["t"], k=k, largest=1.0).pairs(records(left), records(right))
    for row in range(len(left)):
        mine = every.left == row
        assert some.weight[some.left == row] == pytest.approx(np.sort(every.weight[mine])[::-1][:k])


def test_large_blocks_make_no_pair_and_recall_is_counted() -> None:
    left = records(["acme phone", "acme lamp"])
    right = records([*["acme thing"] * 9, "acme phone"])
    blocks = Blocking(columns=["t"], largest=0.2).pairs(left, right)
    assert list(zip(blocks.left.tolist(), blocks.right.tolist(), strict=True)) == [(0, 9)]
    assert blocks.recall([(0, 9), (1, 0)]).value == 0.5 and blocks.reduction == pytest.approx(0.95)
    with pytest.raises(DataError, match="none is given"):
        blocks.recall([])
    assert len(Blocking().pairs([], right)) == 0 and Blocking().pairs([], right).reduction == 0.0
    assert len(Blocking().pairs(records([""]), records([""]))) == 1  # both hold "zzz"


def test_trigrams_forgive_a_letter() -> None:
    left, right = records(["panasonic kx1234"]), records(["panasonik kx1234", "sony walkman", "philips radio"])
    assert Blocking("trigrams", ["t"], k=1, largest=1.0).pairs(left, right).right.tolist() == [0]


def test_mistakes() -> None:
    with pytest.raises(ConfigError, match="words or trigrams"):
        Blocking("letters")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="k is 1 or more"):
        Blocking(k=0)
