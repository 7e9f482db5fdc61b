"""`ask` and `wait`: with and without a running event loop."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading

import pytest

from pilotfish._sync import ask, wait
from pilotfish.errors import UpstreamError
from tests.fakes import ScriptedModel

NUMBER: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)


def test_ask_sends_the_settings_and_gives_the_reply() -> None:
    model = ScriptedModel({"2 + 2?": "4"})
    assert ask(model, "2 + 2?", max_tokens=8).text == "4"
    assert model.requests[0].max_tokens == 8
    assert ask(model, [{"role": "user", "content": "2 + 2?"}]).text == "4"


def test_ask_works_inside_a_running_loop_and_leaves_no_thread() -> None:
    before = threading.active_count()

    async def cell() -> str:
        return ask(ScriptedModel("yes"), "?").text

    assert asyncio.run(cell()) == "yes"
    assert threading.active_count() == before


def test_an_error_comes_out_as_it_is_in_both_cases() -> None:
    model = ScriptedModel(lambda _: UpstreamError("down", status=503))

    async def cell() -> None:
        ask(model, "?")

    with pytest.raises(UpstreamError, match="down"):
        ask(model, "?")
    with pytest.raises(UpstreamError, match="down") as caught:
        asyncio.run(cell())
    assert caught.value.status == 503


def test_context_variables_reach_the_work_in_both_cases() -> None:
    async def read() -> int:
        return NUMBER.get()

    async def cell() -> int:
        return wait(read())

    token = NUMBER.set(7)
    try:
        assert wait(read()) == 7
        assert asyncio.run(cell()) == 7
    finally:
        NUMBER.reset(token)


def test_ctrl_c_in_a_notebook_cancels_the_work() -> None:
    begun = threading.Event()
    cancelled = threading.Event()

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def press() -> None:
        begun.wait(10)
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)

    async def cell() -> None:
        wait(endless())

    threading.Thread(target=press).start()
    # Not asyncio.run, which puts a SIGINT handler of its own in the place of Python's; a notebook's loop has none.
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(cell())
    finally:
        loop.close()
    # `wait` came back after the work had ended, not before.
    assert cancelled.is_set()
