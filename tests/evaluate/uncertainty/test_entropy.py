"""Entropies against their formulas, by brute force where answers can be counted out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from pilotfish.errors import DataError
from pilotfish.evaluate.uncertainty.entropy import (
    discrete_semantic_entropy,
    lexical_similarity,
    sampled_entropy,
    semantic_entropy,
    token_entropy,
)
from pilotfish.model import TokenLogprob


def token(*shares: float) -> TokenLogprob:
    top = tuple((f"t{i}", math.log(share)) for i, share in enumerate(shares))
    return TokenLogprob("t0", top[0][1] if top else -1.0, top)


def test_a_token_s_entropy_is_its_distribution_s() -> None:
    def entropy(*shares: float) -> float:
        return -sum(share * math.log(share) for share in shares)

    assert token_entropy([token(0.5, 0.5), token(0.9, 0.1)]) == pytest.approx(
        (entropy(0.5, 0.5) + entropy(0.9, 0.1)) / 2
    )
    # What is left of the distribution is one class: a bound from below.
    assert token_entropy([token(0.6, 0.2)]) == pytest.approx(entropy(0.6, 0.2, 0.2))
    assert token_entropy([token(1.0)]) == 0
    with pytest.raises(DataError, match="token 2 has no alternatives"):
        token_entropy([token(1.0), token()])
    with pytest.raises(DataError, match="without tokens"):
        token_entropy([])


# A model of two tokens out of three: every answer and its probability.
FIRST, THEN = np.array([0.5, 0.3, 0.2]), np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
ANSWERS = {(a, b): float(FIRST[a] * THEN[a, b]) for a, b in itertools.product(range(3), repeat=2)}
MEANS = {pair: sum(pair) % 3 for pair in ANSWERS}


def test_the_meanings_entropy_is_that_of_every_answer() -> None:
    shares = [sum(p for pair, p in ANSWERS.items() if MEANS[pair] == meaning) for meaning in range(3)]
    wanted = -sum(p * math.log(p) for p in shares)
    found = semantic_entropy([MEANS[pair] for pair in ANSWERS], [math.log(p) for p in ANSWERS.values()])
    assert found == pytest.approx(wanted)
    # Drawn twice, an answer is still one answer of the sum.
    pairs = [*ANSWERS, *list(ANSWERS)[:4]]
    logs = [math.log(ANSWERS[pair]) for pair in pairs]
    again = semantic_entropy([MEANS[pair] for pair in pairs], logs, answers=[str(pair) for pair in pairs])
    assert again == pytest.approx(wanted)
    assert semantic_entropy([MEANS[pair] for pair in pairs], logs) != pytest.approx(wanted)


def test_draws_come_near_the_entropies() -> None:
    dice = np.random.default_rng(0)
    every = list(ANSWERS)
    drawn = [every[i] for i in dice.choice(len(every), size=20_000, p=list(ANSWERS.values()))]
    logs = [math.log(ANSWERS[pair]) for pair in drawn]
    plain = -sum(p * math.log(p) for p in ANSWERS.values())
    assert sampled_entropy(logs) == pytest.approx(plain, abs=0.02)
    assert sampled_entropy(logs, [2] * len(logs)) == pytest.approx(plain / 2, abs=0.01)
    shares = [sum(p for pair, p in ANSWERS.items() if MEANS[pair] == meaning) for meaning in range(3)]
    meant = -sum(p * math.log(p) for p in shares)
    assert discrete_semantic_entropy([MEANS[pair] for pair in drawn]) == pytest.approx(meant, abs=0.02)
    assert meant < plain


def test_ends() -> None:
    assert semantic_entropy([0, 0, 0], [-1.0, -900.0, -3.0]) == 0
    assert semantic_entropy([0, 1], [-2000.0, -2000.0]) == pytest.approx(math.log(2))
    assert discrete_semantic_entropy([0, 1, 2, 3]) == pytest.approx(math.log(4))
    for wrong in ([], [float("nan")], [[1.0]]):
        with pytest.raises(DataError):
            sampled_entropy(wrong)
    with pytest.raises(DataError, match="2 clusters of 1"):
        semantic_entropy([0, 1], [-1.0])


def test_lexical_similarity_is_the_mean_rouge_l() -> None:
    # "a b c" and "a c d": the longest common subsequence is "a c", 2 * 2 / 6.
    assert lexical_similarity(["a b c", "A c d"]) == pytest.approx(4 / 6)
    assert lexical_similarity(["a b c", "a c d", "x"]) == pytest.approx(4 / 18)
    assert lexical_similarity(["same", "same"]) == 1
    assert lexical_similarity(["", ""]) == lexical_similarity(["?", "?"]) == 1
    with pytest.raises(DataError):
        lexical_similarity(["one"])
