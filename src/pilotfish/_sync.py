"""A synchronous front for async models, for notebooks and scripts; works inside a running event loop too."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from pilotfish.model import Model, Reply, Request

T = TypeVar("T")


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end and return its result, whether or not this thread already runs an event loop.

    In a running loop (a notebook's) the work has a loop and a thread of its own. Ctrl-C cancels it in either case.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    box: list[T] = []
    failure: list[BaseException] = []
    started, ended = threading.Event(), threading.Event()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = []

    async def main() -> T:
        task = asyncio.ensure_future(work)
        running.append((asyncio.get_running_loop(), task))
        started.set()
        return await task

    def run() -> None:
        try:
            box.append(asyncio.run(main()))
        except BaseException as error:
            failure.append(error)
        finally:
            started.set()
            ended.set()

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), name="pilotfish-wait")
    try:
        thread.start()
        # Not join: a join that Ctrl-C breaks off takes the thread for ended (Python 3.11).
        ended.wait()
    except BaseException:
        # The limit is for the moment before the thread has begun; then there is nothing to cancel.
        if started.wait(5):
            for loop, task in running:
                with contextlib.suppress(RuntimeError):  # the loop has closed: the work has ended by itself
                    loop.call_soon_threadsafe(task.cancel)
            ended.wait()
        raise
    thread.join()
    if failure:
        raise failure[0]
    return box[0]


def ask(model: Model, prompt: str | Request | Sequence[Mapping[str, Any]], **settings: Any) -> Reply:
    """Ask a model and wait for the reply: `ask(model, "What is 2 + 2?", max_tokens=8).text`."""
    return wait(model.reply(Request.of(prompt, **settings)))
