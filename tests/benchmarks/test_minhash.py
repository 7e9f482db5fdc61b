"""What `benchmarks minhash` plants and how it judges."""

from __future__ import annotations

import random

import numpy as np
from benchmarks.minhash import NGRAM, judged, planted
from benchmarks.peers.datasketch_worker import shingled


def test_planted_copies_have_the_similarity_that_is_told() -> None:
    dice = random.Random(0)
    words = ["".join(dice.choices("abcdefgh", k=6)) for _ in range(300)]
    texts = [" ".join(dice.choices(words, k=30)) for _ in range(100)]
    pairs, similarities = planted(texts, dice)
    assert len(texts) == 100 + len(pairs)
    assert len(pairs) > 15
    for (text, copy), similarity in zip(pairs, similarities, strict=True):
        one, two = shingled(texts[text], NGRAM), shingled(texts[copy], NGRAM)
        assert similarity == len(one & two) / len(one | two)
        assert 0.7 <= similarity <= 0.95


def test_recall_and_precision_are_what_they_say() -> None:
    texts = ["one two three four", "one two three four five", "nothing like it", "one two three four!", "alone"]
    pairs, similarities = [(0, 1), (0, 2)], [0.76, 0.72]
    cases = {
        case["case"]: case for case in judged("x", texts, pairs, similarities, [[0, 1], [3, 4]], np.array(similarities))
    }
    assert cases["x: recall of planted pairs, .7 to .95"]["value"] == 0.5
    assert cases["x: recall of planted pairs, 0.75 to 0.8"]["value"] == 1
    assert cases["x: precision of the pairs found"]["n"] == 2
    assert cases["x: mean error of estimates, in standard errors"]["value"] == 0
