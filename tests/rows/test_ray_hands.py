"""Which worker gets the next batch."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import pytest

from pilotfish.rows._ray_hands import Hand, Hands
from pilotfish.rows.report import StageReport


def ran(task: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(task, 5))


async def soon(hands: Hands, *, alone: bool = False) -> asyncio.Task[Hand]:
    """Return a batch that waits, once it has asked."""
    task = asyncio.ensure_future(hands.take(alone=alone))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


def test_the_least_busy_worker_gets_a_batch_and_none_more_than_it_has_room_for() -> None:
    async def go() -> None:
        hands, one, two = Hands(2), Hand("one"), Hand("two")
        hands.add(one)
        hands.add(two)
        got = [await hands.take(alone=False) for _ in range(4)]
        assert (got.count(one), got.count(two)) == (2, 2)
        waits = await soon(hands)
        assert not waits.done()
        hands.give_back(two)
        assert await waits is two

    ran(go())


def test_a_suspect_has_a_worker_to_itself_and_others_wait_or_go_elsewhere() -> None:
    async def go() -> None:
        hands, one, two = Hands(2), Hand("one"), Hand("two")
        hands.add(one)
        assert await hands.take(alone=False) is one
        suspect, second = await soon(hands, alone=True), await soon(hands, alone=True)
        other = await soon(hands)
        # There is room in it, but it is kept free; the suspect waits until it is.
        assert not suspect.done()
        assert not other.done()
        hands.add(two)
        assert await asyncio.wait_for(other, 1) is two
        hands.give_back(one)
        assert await suspect is one
        assert not second.done()
        hands.give_back(one)
        assert await second is one
        hands.give_back(one)
        # It takes others again.
        assert {(await hands.take(alone=False)).actor for _ in range(3)} == {"one", "two"}

    ran(go())


def test_when_the_worker_that_is_kept_dies_another_is() -> None:
    async def go() -> None:
        hands, one, two = Hands(1), Hand("one"), Hand("two")
        hands.add(one)
        assert await hands.take(alone=True) is one
        hands.lost(one)
        hands.give_back(one)
        again = await soon(hands, alone=True)
        assert not again.done()
        hands.add(two)
        assert await again is two

    ran(go())


def test_who_stops_waiting_takes_no_room() -> None:
    async def go() -> None:
        hands, one = Hands(1), Hand("one")
        hands.add(one)
        await hands.take(alone=False)
        first, second = await soon(hands), await soon(hands)
        hands.give_back(one)  # it is the first one's, which has not heard of it yet
        first.cancel()
        assert await second is one

    ran(go())


def test_when_no_worker_begins_all_are_told() -> None:
    async def go() -> None:
        hands = Hands(1)
        waits = await soon(hands)
        hands.fail(ValueError("none"))
        with pytest.raises(ValueError, match="none"):
            await waits
        with pytest.raises(ValueError, match="none"):
            await hands.take(alone=True)

    ran(go())


def test_a_word_that_was_overtaken_takes_nothing_back() -> None:
    hand, early, late = Hand("one"), [StageReport("it")], [StageReport("it")]
    hand.hear(late, 2)
    hand.hear(early, 1)
    assert hand.reports is late
    hand.hear(None, 3)  # one that says nothing of them
    assert hand.reports is late
    hand.hear(early, 3)
    assert hand.reports is early
