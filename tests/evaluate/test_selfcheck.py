"""SelfCheck's four ways against the paper's formulas, written out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.bertscore import BertScore
from pilotfish.evaluate.selfcheck import by_bertscore, by_ngrams, by_nli, by_prompt

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder

SENTENCES = ["the cat sat on the mat", "the dog did not sing"]
SAMPLES = ["the cat sat", "my card has not arrived", "a song of the sea"]


def test_by_nli_is_the_mean_contradiction_in_one_call() -> None:
    asked: list[Sequence[tuple[str, str]]] = []

    def infers(pairs: Sequence[tuple[str, str]]) -> Any:
        asked.append(pairs)
        return np.array([[0.1 + 0.01 * n, 0.5, 0.4 - 0.01 * n] for n in range(len(pairs))])

    found = by_nli(SENTENCES, SAMPLES, infers)
    shares = [(0.4 - 0.01 * n) / 0.5 for n in range(6)]
    assert found == pytest.approx([np.mean(shares[:3]), np.mean(shares[3:])])
    assert len(asked) == 1 and asked[0][1] == (SENTENCES[0], SAMPLES[1])


def test_by_bertscore_the_nearest_sentence_of_each_sample_counts(tiny_encoder: Encoder) -> None:
    metric = BertScore(tiny_encoder)
    samples = [["the cat sat", "where is it"], ["the cat sat on the mat"]]
    found = by_bertscore(SENTENCES, samples, metric)
    for number, mine in enumerate(SENTENCES):
        best = [max(metric([mine], [theirs]).values[0] for theirs in some) for some in samples]
        assert found[number] == pytest.approx(1 - np.mean(best), abs=1e-6)
    assert found[0] < found[1]
    with pytest.raises(DataError, match="no sentence"):
        by_bertscore(SENTENCES, [[]], metric)


def test_by_ngrams_is_a_smoothed_count() -> None:
    # Words of samples and answer: "a b", "a", and "a c": a three times, b and c once; 3 kinds and one for all others.
    found = by_ngrams(["a c"], ["a b", "a"])
    wanted = [-math.log(4 / 9), -math.log(2 / 9)]
    assert found == pytest.approx([np.mean(wanted)])
    assert by_ngrams(["a c"], ["a b", "a"], worst=True) == pytest.approx([max(wanted)])
    assert by_ngrams(["a b", "x y"], ["a b"] * 9, n=2)[0] < by_ngrams(["a b", "x y"], ["a b"] * 9, n=2)[1]
    assert by_ngrams([""], ["a"])[0] == 0


def test_by_prompt_yes_is_nought_and_no_is_one() -> None:
    said = iter(["Yes.", "no", " NO, it is not", "**No**", "I cannot say", "yesterday"])
    asked: list[str] = []

    def answers(prompts: Sequence[str]) -> list[str]:
        asked.extend(prompts)
        return [next(said) for _ in prompts]

    found = by_prompt(["one {context}", "two"], ["{sentence}", "b", "c"], answers)
    assert found == pytest.approx([2 / 3, (1 + 0.5 + 0.5) / 3])
    assert "Context: {sentence}\n\nSentence: one {context}\n" in asked[0]
    with pytest.raises(DataError, match="1 replies"):
        by_prompt(SENTENCES, SAMPLES, lambda prompts: ["yes"])
    with pytest.raises(ConfigError, match="needs the place"):
        by_prompt(SENTENCES, SAMPLES, answers, prompt="{sentence}")


def test_nothing_to_check_is_told() -> None:
    with pytest.raises(DataError, match="at least"):
        by_ngrams([], ["a"])
    with pytest.raises(ConfigError, match="n must be"):
        by_ngrams(["a"], ["a"], n=0)
