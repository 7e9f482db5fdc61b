"""Races of instructions on made scores: the best wins, the budget holds, and what is behind for sure goes early."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from pilotfish.errors import ConfigError
from pilotfish.prompt.select import race
from pilotfish.rows.asking import Bill


class Made:
    """Scores from a table, prompts by their numbers; counts what was judged."""

    def __init__(self, table: np.ndarray) -> None:
        self.table, self.judged = table, 0
        self.bill = Bill()
        self.seen: list[tuple[str, int]] = []

    async def scores(self, prompts: Sequence[str], places: Sequence[int]) -> np.ndarray:
        self.judged += len(prompts) * len(places)
        self.seen += [(prompt, place) for prompt in prompts for place in places]
        return np.array([[self.table[int(prompt), place] for place in places] for prompt in prompts])


def drawn(chances: Sequence[float], rows: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.uniform(size=(len(chances), rows)) < np.array(chances)[:, None]).astype(float)


def test_it_is_sequential_halving() -> None:
    # Differences that are never sure, so that halving alone decides.
    table = np.tile([[0.0, 1.0]], (8, 64)) + np.linspace(0.08, 0.01, 8)[:, None] * np.tile([[3.0, -1.0]], (8, 64))
    judge = Made(table)
    raced = asyncio.run(race(judge, [str(at) for at in range(8)], range(128), first=16, level=0.9999999))
    assert [one.rows for one in raced.rounds] == [16, 32, 64]
    assert [len(one.means) for one in raced.rounds] == [8, 4, 2]
    assert raced.judged == judge.judged == 16 * 8 + 16 * 4 + 32 * 2
    assert raced.order[0] == 0 and sorted(raced.order) == list(range(8))
    assert len(judge.seen) == len(set(judge.seen))  # nothing is judged twice
    assert raced.rows.tolist() == [64, 64, 32, 32, 16, 16, 16, 16]
    np.testing.assert_allclose(raced.means[0], table[0, :64].mean())


def test_the_best_wins_more_often_than_by_its_first_rows() -> None:
    chances = [0.5, 0.5, 0.5, 0.7, 0.5, 0.5, 0.5, 0.5]
    wins, first = 0, 0
    for seed in range(40):
        judge = Made(drawn(chances, 128, seed))
        raced = asyncio.run(race(judge, [str(at) for at in range(8)], range(128), first=16))
        wins += raced.order[0] == 3
        first += int(judge.table[:, :16].mean(axis=1).argmax() == 3)
    assert wins >= 28 and wins > first


def test_who_is_behind_for_sure_goes_at_once() -> None:
    judge = Made(drawn([0.95, 0.95, 0.05, 0.9], 64))
    raced = asyncio.run(race(judge, ["0", "1", "2", "3"], range(64), first=32, eta=1.01))
    assert raced.rounds[0].dropped[2] == "behind"
    assert all(at != 2 for one in raced.rounds[1:] for at in one.means)


def test_certainty_is_paid_for_rarely_where_there_is_none() -> None:
    dropped = 0
    for seed in range(200):
        judge = Made(drawn([0.6, 0.6], 64, seed))
        raced = asyncio.run(race(judge, ["0", "1"], range(64), first=16, eta=1.2, level=0.95))
        dropped += any("behind" in one.dropped.values() for one in raced.rounds)
    assert dropped <= 16  # 5% of 200 is 10


@pytest.mark.parametrize("most", [1, 7, 8, 40, 200, 10_000])
def test_no_more_than_it_may(most: int) -> None:
    judge = Made(drawn([0.5] * 8, 128))
    raced = asyncio.run(race(judge, [str(at) for at in range(8)], range(128), first=16, most=most))
    assert judge.judged == raced.judged <= most
    assert raced.spent == (most < 256)
    assert sorted(raced.order) == list(range(8))


def test_rows_without_an_answer_compare_nothing() -> None:
    table = np.array([[1.0, 1, 0, 0], [np.nan, np.nan, 1, 1]])
    raced = asyncio.run(race(Made(table), ["0", "1"], range(4), first=4))
    assert raced.rounds[0].rows == 2 and raced.order[0] == 1
    none = asyncio.run(race(Made(np.full((2, 4), np.nan)), ["0", "1"], range(4), first=4))
    assert none.spent and none.order == (0, 1) and not none.rounds


def test_equal_ones_stay_in_their_order_and_one_alone_is_judged_once() -> None:
    raced = asyncio.run(race(Made(np.ones((3, 8))), ["0", "1", "2"], range(8), first=4))
    assert raced.order[0] == 0
    alone = Made(np.ones((1, 8)))
    assert asyncio.run(race(alone, ["0"], range(8), first=4)).rows.tolist() == [4]


def test_what_is_wrong_is_told() -> None:
    for prompts, rows, settings in (([], 4, {}), (["0"], 0, {}), (["0"], 4, {"first": 1}), (["0"], 4, {"eta": 1})):
        with pytest.raises(ConfigError):
            asyncio.run(race(Made(np.ones((1, 4))), prompts, range(rows), **settings))
