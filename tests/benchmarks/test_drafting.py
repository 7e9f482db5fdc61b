"""The drafting benchmark's own arithmetic: rates, and the interval of their ratio over prompts."""

from __future__ import annotations

import pytest
from benchmarks._drafting import FEW, Drive, interval, joined


def drive(*batches: tuple[int, float]) -> Drive:
    return Drive([[7] * tokens for tokens, _ in batches], list(batches))


def test_a_rate_is_all_tokens_over_all_seconds() -> None:
    whole = joined([drive((10, 1.0), (30, 1.0)), drive((20, 2.0))])
    assert whole.rate == pytest.approx(15.0)
    assert [len(answer) for answer in whole.answers] == [10, 30, 20]


def test_the_ratio_of_rates_has_an_interval_over_prompts() -> None:
    # Twice as fast on every prompt, in both rounds, whatever the prompts' lengths: nothing is left to chance.
    theirs = [drive(*((tokens, tokens / 10) for tokens in range(10, 10 + FEW))) for _ in range(2)]
    mine = [drive(*((tokens, tokens / 20) for tokens in range(10, 10 + FEW))) for _ in range(2)]
    sure = interval(list(zip(mine, theirs, strict=True)))
    assert sure is not None
    assert (sure.low, sure.value, sure.high) == pytest.approx((2.0, 2.0, 2.0))
    assert sure.n == FEW
    # Three times as fast on half of them, as fast on the other half: between the two, and wide.
    mixed = drive(*((30, 1.0 if i % 2 else 3.0) for i in range(FEW)))
    plain = drive(*((30, 3.0) for _ in range(FEW)))
    found = interval([(mixed, plain)])
    assert found is not None
    assert found.value == pytest.approx(1.5)
    assert 1.0 <= found.low < 1.5 < found.high <= 3.0


def test_few_prompts_have_no_interval() -> None:
    few = drive(*((5, 1.0) for _ in range(FEW - 1)))
    assert interval([(few, few)]) is None
