"""The decode benchmark's own arithmetic, on tiny models: the two sides decode and score the same."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from benchmarks._decode_peers import HINTS, missing

from benchmarks import _decoding, _perplexity

if TYPE_CHECKING:
    from pilotfish.models.local import LocalModel


def test_both_sides_decode_the_same_tokens_and_are_timed(tiny_lm: LocalModel) -> None:
    kept = tiny_lm.model.generation_config
    try:
        ids = _decoding.prompts(tiny_lm.tokenizer, 3)
        mine = _decoding.ours(tiny_lm.decoder(), ids, 9)
        theirs = _decoding.generate(tiny_lm.model, ids, 9)
    finally:
        tiny_lm.model.generation_config = kept
    assert _decoding.differing(mine, theirs) == 0.0
    assert [len(mine.times), len(theirs.times)] == [9, 9]
    assert len({len(row) for row in ids}) > 1


def test_a_rate_counts_all_rows_after_the_first_tokens() -> None:
    run = _decoding.Run([[1, 2, 3], [4, 5, 6]], [10.0, 10.5, 11.0])
    assert run.rate == pytest.approx(4.0)
    assert _decoding.differing(run, _decoding.Run([[1, 2, 9], [4, 8, 7]], [])) == pytest.approx(0.5)


def test_both_perplexities_are_of_the_same_tokens(tiny_lm: LocalModel, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat, and the dog did not; where is my card? " * 60)
    found = _perplexity.windows(tiny_lm.tokenizer, text, 3, 100)
    assert [len(window) for window in found] == [100] * 3
    assert found == _perplexity.windows(tiny_lm.tokenizer, text, 3, 100)
    for window in found:
        ours = _perplexity.by_decoder(tiny_lm.decoder(), window)
        assert ours == pytest.approx(_perplexity.by_transformers(tiny_lm.model, window), abs=1e-4)


def test_a_relative_perplexity_is_the_exponential_of_the_mean_difference() -> None:
    found = _perplexity.relative([2.1, 3.1, 1.1, 2.6], [2.0, 3.0, 1.0, 2.5])
    assert found.value == pytest.approx(math.expm1(0.1))
    assert found.low == pytest.approx(found.high)


def test_peers_that_are_missing_come_with_the_command_that_installs_them() -> None:
    assert all(HINTS[line.partition(" not installed")[0]] in line for line in missing())
