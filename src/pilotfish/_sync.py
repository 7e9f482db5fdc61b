"""A synchronous front for async models, for notebooks and scripts; works inside a running event loop too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from pilotfish.model import Model, Reply, Request

T = TypeVar("T")


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end and return its result, whether or not this thread already runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    box: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            box.append(asyncio.run(work))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="pilotfish-wait")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return box[0]


def ask(model: Model, prompt: str | Request | Sequence[Mapping[str, Any]], **settings: Any) -> Reply:
    """Ask a model and wait for the reply: `ask(model, "What is 2 + 2?", max_tokens=8).text`."""
    return wait(model.reply(Request.of(prompt, **settings)))
