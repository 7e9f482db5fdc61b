"""Continuous batching: who joins, who leaves, whose errors are whose, and turns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

from pilotfish.decode._turns import Turns
from pilotfish.decode.sampler import Sampler, Sampling
from pilotfish.decode.scheduler import Scheduler, Ticket
from pilotfish.decode.strategy import Job, Plain, Step, Tally
from pilotfish.errors import ModelError
from tests.decode.script import ScriptDecoder


class Taker:
    """Takes so many tokens."""

    def __init__(self, wants: int, at: Callable[[Taker], None] = lambda _: None) -> None:
        self.wants, self.at = wants, at
        self.tokens: list[int] = []
        self.over = threading.Event()
        self.error: BaseException | None = None
        self.seconds = 0.0
        self.ends = 0

    def took(self, step: Step) -> bool:
        self.tokens += step.tokens
        self.at(self)
        return len(self.tokens) >= self.wants

    def ended(self, tally: Tally, seconds: float, error: BaseException | None) -> None:
        self.error, self.seconds = error, seconds
        self.ends += 1
        self.over.set()


def job(start: int, size: int = 1, vocabulary: int = 50) -> Job:
    return Job([[start] * size], Sampler(Sampling(), vocabulary), 100)


def decoder() -> ScriptDecoder:
    return ScriptDecoder(range(40), 50)


def wait(*takers: Taker) -> None:
    for taker in takers:
        assert taker.over.wait(20)


def hand_in(scheduler: Scheduler, *pairs: tuple[Job, Taker]) -> Ticket:
    return scheduler.submit([one for one, _ in pairs], [taker for _, taker in pairs])


class Gate:
    """Holds the strategy's steps until it is opened."""

    def __init__(self, script: ScriptDecoder) -> None:
        self.waits, self.go = threading.Event(), threading.Event()
        script.trouble = self._hold

    def _hold(self) -> None:
        self.waits.set()
        assert self.go.wait(20)


def test_jobs_join_and_leave_between_steps() -> None:
    script = decoder()
    gate = Gate(script)
    scheduler = Scheduler(Plain(script))
    first, second, third = Taker(9), Taker(3), Taker(5)
    hand_in(scheduler, (job(0), first))
    assert gate.waits.wait(20)
    hand_in(scheduler, (job(10), second))
    hand_in(scheduler, (job(20), third))
    gate.go.set()
    wait(first, second, third)
    assert [taker.tokens for taker in (first, second, third)] == [[*range(9)], [10, 11, 12], [*range(20, 25)]]
    # The two that came later went together; no row was fed for a token that nobody wanted.
    assert script.starts == [1, 2]
    assert script.feeds == [1, 1, 3, 3, 2, 2, 1, 1]
    assert script.open == 0
    assert scheduler.rows == 0


def test_no_more_than_max_rows_run_and_none_overtakes() -> None:
    script = decoder()
    gate = Gate(script)
    order: list[int] = []
    takers = [
        Taker(2 + i % 3, lambda taker: order.append(id(taker)) if len(taker.tokens) == 1 else None) for i in range(9)
    ]
    scheduler = Scheduler(Plain(script), max_rows=2)
    for i, taker in enumerate(takers):
        hand_in(scheduler, (job(i), taker))
        if not i:
            assert gate.waits.wait(20)
    gate.go.set()
    wait(*takers)
    assert max(script.feeds) == 2
    assert order == [id(taker) for taker in takers]


def test_jobs_handed_in_together_start_together_and_wait_for_room_in_order() -> None:
    script = decoder()
    gate = Gate(script)
    scheduler = Scheduler(Plain(script), max_rows=3)
    alone, late, group = Taker(6), Taker(1), [Taker(2) for _ in range(3)]
    many = [Taker(2) for _ in range(7)]
    hand_in(scheduler, (job(0), alone))
    assert gate.waits.wait(20)
    hand_in(scheduler, *((job(5), taker) for taker in group))
    hand_in(scheduler, (job(9), late))
    hand_in(scheduler, *((job(7), taker) for taker in many))
    gate.go.set()
    wait(alone, *group, late, *many)
    assert script.starts == [1, 3, 1, 3, 3, 1]
    assert all(taker.tokens == [7, 8] for taker in many)


def test_long_prompts_come_in_one_after_another() -> None:
    script = decoder()
    gate = Gate(script)
    scheduler = Scheduler(Plain(script), prompt_tokens=10)
    takers = [Taker(30) for _ in range(6)]
    hand_in(scheduler, (job(0), takers[0]))
    assert gate.waits.wait(20)
    for taker, size in zip(takers[1:], (4, 5, 50, 8, 2), strict=True):
        hand_in(scheduler, (job(0, size), taker))
    gate.go.set()
    wait(*takers)
    assert script.starts == [1, 2, 1, 2]


def test_who_leaves_frees_the_row_before_the_next_step() -> None:
    script = decoder()
    scheduler = Scheduler(Plain(script))
    tickets: list[Ticket] = []
    stays = Taker(30)

    def leave(taker: Taker) -> None:
        if len(taker.tokens) == 4:
            tickets[0].cancel()

    leaves = Taker(30, leave)
    gate = Gate(script)
    tickets.append(hand_in(scheduler, (job(0), leaves)))
    hand_in(scheduler, (job(0), stays))
    gate.go.set()
    wait(stays, leaves)
    assert len(leaves.tokens) == 4
    assert (leaves.error, leaves.ends, len(stays.tokens), script.open) == (None, 1, 30, 0)


def test_who_leaves_while_waiting_never_starts() -> None:
    script = decoder()
    gate = Gate(script)
    scheduler = Scheduler(Plain(script), max_rows=1)
    runs, waits, last = Taker(3), Taker(3), Taker(2)
    hand_in(scheduler, (job(0), runs))
    assert gate.waits.wait(20)
    ticket = hand_in(scheduler, (job(0), waits))
    hand_in(scheduler, (job(0), last))
    ticket.cancel()
    gate.go.set()
    wait(runs, waits, last)
    assert (waits.tokens, len(last.tokens), script.starts, script.open) == ([], 2, [1, 1], 0)


def test_one_that_cannot_begin_does_not_stop_the_others() -> None:
    script = decoder()
    gate = Gate(script)
    scheduler = Scheduler(Plain(script))
    first, good, bad, full = Taker(2), Taker(3), Taker(3), Taker(3)
    hand_in(scheduler, (job(0), first))
    assert gate.waits.wait(20)
    for one, taker in ((job(1), good), (job(-1), bad), (job(2, 10_000), full)):
        hand_in(scheduler, (one, taker))
    gate.go.set()
    wait(first, good, bad, full)
    assert good.tokens == [1, 2, 3]
    assert isinstance(bad.error, ModelError)
    assert "leaves the model no room" in str(full.error)
    assert (good.error, script.open) == (None, 0)


class Refuses:
    """A constraint that refuses the fourth token."""

    said = 0
    over = False

    def allowed(self, ahead: Any, rows: int, vocabulary: int) -> Any:
        import torch

        return torch.ones((rows, vocabulary), dtype=torch.bool)

    def accept(self, tokens: Any) -> None:
        self.said += len(tokens)
        if self.said > 3:
            raise ModelError("refused")

    def fork(self) -> Any:
        raise NotImplementedError


def test_an_error_of_one_job_is_its_own_and_one_of_the_decoder_everyones() -> None:
    script = decoder()
    scheduler = Scheduler(Plain(script))
    gate = Gate(script)
    bad, good = job(0), job(0)
    bad.sampler.constraint = Refuses()
    fails, goes_on = Taker(9), Taker(9)
    hand_in(scheduler, (bad, fails), (good, goes_on))
    gate.go.set()
    wait(fails, goes_on)
    assert (len(fails.tokens), str(fails.error)) == (3, "refused")
    assert (len(goes_on.tokens), goes_on.error, script.open) == (9, None, 0)

    def broken() -> None:
        raise MemoryError("full")

    both = Taker(9), Taker(9)
    script.trouble = broken
    hand_in(scheduler, (job(0), both[0]), (job(1), both[1]))
    wait(*both)
    assert all(isinstance(taker.error, MemoryError) for taker in both)
    script.trouble = lambda: None
    again = Taker(5)
    hand_in(scheduler, (job(0), again))
    wait(again)
    assert (again.tokens, script.open) == ([0, 1, 2, 3, 4], 0)


def test_a_reader_that_fails_ends_its_own_job_only() -> None:
    script = decoder()
    scheduler = Scheduler(Plain(script))

    def fail(_: Taker) -> None:
        raise ValueError("reader")

    bad, good = Taker(9, fail), Taker(9)
    hand_in(scheduler, (job(0), bad), (job(0), good))
    wait(bad, good)
    assert isinstance(bad.error, ValueError)
    assert len(good.tokens) == 9


def test_seconds_are_shared_so_that_their_sum_is_the_time_spent() -> None:
    script = decoder()
    script.trouble = lambda: time.sleep(0.01)
    scheduler = Scheduler(Plain(script))
    takers = [Taker(11) for _ in range(4)]
    started = time.perf_counter()
    hand_in(scheduler, *((job(0), taker) for taker in takers))
    wait(*takers)
    wall = time.perf_counter() - started
    assert 0.1 <= sum(taker.seconds for taker in takers) <= wall


def test_turns_are_taken_in_the_order_of_asking() -> None:
    turns = Turns()
    order: list[str] = []
    started = threading.Event()

    def loop() -> None:
        for _ in range(200):
            with turns, turns:
                order.append("loop")
                started.set()
                time.sleep(0.001)

    def other() -> None:
        with turns:
            order.append("other")

    thread = threading.Thread(target=loop)
    thread.start()
    assert started.wait(10)
    others = [threading.Thread(target=other) for _ in range(3)]
    for one in others:
        one.start()
    for one in others:
        one.join(10)
    # They did not wait for the loop's end.
    assert order.count("loop") < 100
    thread.join()
    assert order.count("other") == 3
