"""MoverScore: the cheapest way of moving one text's words to another's, by brute force on a few."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pilotfish.errors import ConfigError
from pilotfish.evaluate.bertscore import Idf
from pilotfish.evaluate.mover import MoverScore
from pilotfish.evaluate.states import TokenStates

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder

pytest.importorskip("torch")
pytest.importorskip("ot")


def vectors(encoder: Encoder, text: str) -> np.ndarray:
    found = TokenStates(encoder).of([text])[0]
    return np.asarray(found.vectors.double())[~found.special]


def test_of_as_many_tokens_it_is_the_best_pairing(tiny_encoder: Encoder) -> None:
    one, other = "the cat sat on", "a cat is on"
    mine, theirs = vectors(tiny_encoder, one), vectors(tiny_encoder, other)
    assert len(mine) == len(theirs)
    far = np.linalg.norm(mine[:, None] - theirs[None], axis=-1)
    cheapest = min(far[np.arange(len(mine)), list(order)].mean() for order in permutations(range(len(mine))))
    assert MoverScore(tiny_encoder)([one], [other]).values[0] == pytest.approx(1 - cheapest, abs=1e-6)


def test_of_one_token_all_is_moved_there(tiny_encoder: Encoder) -> None:
    many = vectors(tiny_encoder, "the cat sat on a mat")
    far = np.linalg.norm(many - vectors(tiny_encoder, "cat"), axis=1)
    found = MoverScore(tiny_encoder)(["the cat sat on a mat"], ["cat"])
    assert found.values[0] == pytest.approx(1 - far.mean(), abs=1e-6)


def test_idf_and_pairs_of_tokens(tiny_encoder: Encoder) -> None:
    metric = MoverScore(tiny_encoder)
    idf = Idf.over(["the cat", "the dog", "the mat"], metric.states)
    heavy = MoverScore(tiny_encoder, idf=idf)
    one, other = "the cat", "cat"
    weights = idf.of(metric.states.of([one])[0].ids[1:-1])
    far = np.linalg.norm(vectors(tiny_encoder, one) - vectors(tiny_encoder, other), axis=1)
    wanted = 1 - far @ weights / weights.sum()
    assert heavy([one], [other]).values[0] == pytest.approx(wanted, abs=1e-6)
    pairs = MoverScore(tiny_encoder, n=2)
    mine, theirs = vectors(tiny_encoder, "the cat sat"), vectors(tiny_encoder, "a dog")
    grams = [(mine[i] + mine[i + 1]) / np.linalg.norm(mine[i] + mine[i + 1]) for i in range(2)]
    # A text of no more tokens than n is taken token by token.
    far = np.array([[np.linalg.norm(gram - one) for one in theirs] for gram in grams])
    wanted = 1 - min(far[0, 0] + far[1, 1], far[0, 1] + far[1, 0]) / 2
    assert pairs(["the cat sat"], ["a dog"]).values[0] == pytest.approx(wanted, abs=1e-6)
    assert pairs.name.endswith("2-grams)") and "idf" in heavy.name
    with pytest.raises(ConfigError, match="n is 1"):
        MoverScore(tiny_encoder, n=0)


def test_odd_texts_and_several_references(tiny_encoder: Encoder) -> None:
    found = MoverScore(tiny_encoder)(["the cat", "", "", "the cat"], ["the cat", "a", "", ["a dog", "the cat", ""]])
    assert found.values.tolist() == pytest.approx([1, -1, 1, 1], abs=1e-3)
    assert found.notes[0] == "" and "candidate is empty" in found.notes[1] and "reference is empty" in found.notes[3]
