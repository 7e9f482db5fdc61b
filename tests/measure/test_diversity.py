from __future__ import annotations

import math
import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.measure._self_bleu import bleu_of_each
from pilotfish.measure.diversity import (
    compression_ratio,
    coverage,
    dispersion,
    diversity,
    ngram_entropy,
    ngram_kernel,
    self_bleu,
    vendi,
    vendi_of_kernel,
)

SETS = st.lists(st.lists(st.sampled_from("abc"), max_size=7).map(" ".join), min_size=2, max_size=6)
# What sacrebleu 2.6.0 says: sentence_bleu(text, the others, tokenize="none").score / 100.
TEXTS = [
    "the cat sat on the mat",
    "the cat sat on a mat today",
    "a dog ran in the park with a ball",
    "the dog ran in the park",
    "completely different words here now",
    "hi",
    "the the the the cat",
]
SACREBLEU = [0.56234133, 0.45499414, 0.46713798, 0.79527073, 0.0, 0.0, 0.2364354]


def plain_bleu(text: list[str], references: list[list[str]]) -> float:
    """BLEU written out as its definition has it, over every reference."""
    logs, smooth, none = [], 1.0, True
    for n in range(1, 5):
        grams = [tuple(text[start : start + n]) for start in range(len(text) - n + 1)]
        if not grams:
            break
        others = [[tuple(one[start : start + n]) for start in range(len(one) - n + 1)] for one in references]
        hit = sum(min(grams.count(gram), max(other.count(gram) for other in others)) for gram in set(grams))
        none = none and not hit
        smooth *= 1 if hit else 2
        logs.append(math.log((hit or 1 / smooth) / len(grams)))
    if none:
        return 0.0
    closest = min((abs(len(one) - len(text)), len(one)) for one in references)[1]
    brevity = 1.0 if len(text) >= closest else math.exp(1 - closest / len(text))
    return brevity * math.exp(sum(logs) / len(logs))


def test_self_bleu_is_what_sacrebleu_says() -> None:
    assert bleu_of_each([text.split() for text in TEXTS]) == pytest.approx(SACREBLEU, abs=1e-7)
    assert self_bleu(TEXTS).value == pytest.approx(sum(SACREBLEU) / 7, abs=1e-7)


@settings(max_examples=200, deadline=None)
@given(SETS)
def test_self_bleu_is_its_definition(texts: list[str]) -> None:
    tokens = [text.split() for text in texts]
    wanted = [plain_bleu(text, tokens[:place] + tokens[place + 1 :]) for place, text in enumerate(tokens)]
    assert bleu_of_each(tokens) == pytest.approx(wanted)


def test_self_bleu_samples_large_sets_and_tells_its_interval() -> None:
    dice = random.Random(0)
    words = [f"w{n}" for n in range(50)]
    texts = [" ".join(dice.choices(words, k=12)) for _ in range(4000)]
    start = time.process_time()
    found = self_bleu(texts, sample=1000, seed=3)
    assert time.process_time() - start < 5
    assert found == self_bleu(texts, sample=1000, seed=3)
    assert found != self_bleu(texts, sample=1000, seed=4)
    assert found.low < found.value < found.high < found.low + 0.05
    assert found.n == 1000
    assert self_bleu(["a b c d e"] * 5).value == pytest.approx(1)
    with pytest.raises(DataError, match="at least two"):
        self_bleu(["a"])


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 5))
def test_vendi_of_copies_is_1_and_of_orthogonal_rows_their_number(rows: int, dimensions: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = rng.standard_normal(dimensions) + 0.1
    assert vendi(np.outer(rng.uniform(0.5, 2, rows), one)) == pytest.approx(1)
    square = np.linalg.qr(rng.standard_normal((dimensions, dimensions)))[0]
    assert vendi(square * 3) == pytest.approx(dimensions)
    # Each of n orthogonal rows k times is still n.
    assert vendi(np.repeat(square, 3, axis=0)) == pytest.approx(dimensions)
    data = rng.standard_normal((rows, dimensions)) + 0.01
    unit = data / np.linalg.norm(data, axis=1, keepdims=True)
    for q in (0.5, 1, 2, math.inf):
        score = vendi(data, q)
        assert score == pytest.approx(vendi_of_kernel(unit @ unit.T, q), rel=1e-6)
        assert 1 - 1e-9 <= score <= min(rows, dimensions) + 1e-9
    assert vendi(data, math.inf) <= vendi(data, 2) + 1e-9 <= vendi(data) + 2e-9


def test_vendi_in_closed_form() -> None:
    # Two rows at an angle: eigenvalues (1 + c) / 2 and (1 - c) / 2.
    c = 0.3
    p, r = (1 + c) / 2, (1 - c) / 2
    angle = np.array([[1, 0], [c, math.sqrt(1 - c * c)]])
    assert vendi(angle) == pytest.approx(math.exp(-p * math.log(p) - r * math.log(r)), abs=1e-12)
    assert vendi(angle, 2) == pytest.approx(1 / (p * p + r * r), abs=1e-12)
    assert vendi(angle, 0) == pytest.approx(2)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 30), st.integers(1, 6), st.integers(0, 9))
def test_dispersion_is_the_mean_over_pairs(rows: int, dimensions: int, seed: int) -> None:
    data = np.random.default_rng(seed).standard_normal((rows, dimensions))
    unit = data / np.linalg.norm(data, axis=1, keepdims=True)
    pairs = [1 - unit[i] @ unit[j] for i in range(rows) for j in range(i)]
    assert dispersion(data) == pytest.approx(np.mean(pairs))


@settings(max_examples=100, deadline=None)
@given(SETS)
def test_the_kernel_of_ngrams_is_one(texts: list[str]) -> None:
    kernel = ngram_kernel(texts)
    assert np.allclose(np.diag(kernel), 1)
    assert 1 - 1e-9 <= vendi_of_kernel(kernel) <= len(set(texts)) + 1e-9
    assert vendi_of_kernel(ngram_kernel([texts[0]] * 4)) == pytest.approx(1)


def test_the_kernel_in_closed_form() -> None:
    kernel = ngram_kernel(["a b", "a c", "d e", "a"])
    assert kernel[0, 1] == pytest.approx((0.5 + 0) / 2)
    assert kernel[0, 2] == 0
    assert kernel[0, 3] == pytest.approx(1 / math.sqrt(2) / 2)
    assert vendi_of_kernel(ngram_kernel(["a b", "c d", "e f"])) == pytest.approx(3)


def test_entropy_and_compression() -> None:
    assert ngram_entropy(["a b c d", "e f g h"]) == pytest.approx(3)
    assert ngram_entropy(["a a a", "a"]) == 0
    assert ngram_entropy(["a b", "a b", "c d", "e f"], 2) == pytest.approx(1.5)
    assert ngram_entropy(["", "a"], 2) == 0
    noise = ["".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=60)) for n in range(200)]
    assert compression_ratio(noise) < 1.7 < 50 < compression_ratio([noise[0]] * 200)
    with pytest.raises(DataError):
        ngram_entropy(["a"], 0)


def test_coverage_and_balance() -> None:
    rows = [{"tone": "warm", "topic": topic, "x": 1} for topic in "aab"] + [{"tone": "cold", "topic": "a"}]
    found = coverage(rows, ["tone", "topic"], {"tone": ["warm", "cold", "dry"], "other": [1]})
    assert (found.cells, found.covered) == (6, 0.5)
    assert found.missing() == [("cold", "b"), ("dry", "a"), ("dry", "b")]
    entropy = -(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25))
    assert found.balance == pytest.approx(entropy / math.log(6))
    assert found.balances["topic"] == pytest.approx(-(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)))
    even = coverage([{"a": n, "b": m} for n in range(3) for m in range(2)] * 2, ["a", "b"])
    assert even.covered == 1
    assert even.balance == pytest.approx(1)
    assert coverage([{"a": 1}], ["a"]).balance == 1
    assert even.to_json()["missing"] == []
    for wrong, message in (
        ([{"b": 1}], "row 1: no attribute 'a'"),
        ([{"a": [1]}], "is list, not one value"),
        ([{"a": 9}], "9 is none of the values"),
        ([], "at least one"),
    ):
        with pytest.raises(DataError, match=message):
            coverage(wrong, ["a"], {"a": [1, 2]})


def test_all_together() -> None:
    vectors = np.eye(7)
    found = diversity(TEXTS, vectors=vectors, attributes=coverage([{"a": 1}], ["a"]))
    data = found.to_json()
    assert data["vendi"] == pytest.approx(7)
    assert data["dispersion"] == pytest.approx(1)
    assert data["self_bleu"]["value"] == pytest.approx(sum(SACREBLEU) / 7, abs=1e-7)
    assert data["coverage"]["covered"] == 1
    assert 1 < data["vendi_words"] < 7
    alone = diversity(["one text"], vectors=[[1, 2]])
    assert alone.self_bleu is None
    assert alone.dispersion is None
    assert alone.vendi == pytest.approx(1)
    assert diversity(TEXTS, sample=3).sample == 3
    for texts, matrix, sample in (([], None, 9), (["a"], np.eye(2), 9), (["a"], None, 1)):
        with pytest.raises(DataError):
            diversity(texts, vectors=matrix, sample=sample)
    for kernel in ([[1, 2]], [[1, 0.5], [0.4, 1]], [[1, 2], [2, 1]]):
        with pytest.raises(DataError, match="kernel"):
            vendi_of_kernel(np.array(kernel))
    for score, vectors, q in ((vendi, np.empty((0, 2)), 1.0), (vendi, np.zeros((1, 2)), 1.0), (vendi, np.eye(2), -1.0)):
        with pytest.raises(DataError):
            score(vectors, q)
    with pytest.raises(DataError, match="at least two"):
        dispersion([[1]])
