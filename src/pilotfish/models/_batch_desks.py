"""The desks of this process, one a folder: lent to whoever asks, and closed a moment after the last one has left."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pilotfish.errors import ConfigError
from pilotfish.models._batch_clerk import Answer
from pilotfish.models._batch_desk import LINGER, Desk
from pilotfish.models._batch_settings import Settings

__all__ = ["answered", "close_idle", "desk_of", "finished"]

_desks: dict[Path, Desk] = {}
_lock = threading.Lock()


@contextmanager
def desk_of(settings: Settings) -> Iterator[Desk]:
    """Lend the folder's desk, opening it where it is not open.

    Raises:
        ConfigError: another process has the folder, or another model of this one with other settings.
        DataError: the journal cannot be used.
    """
    desk = _held(settings)
    try:
        yield desk
    finally:
        with _lock:
            desk.holders -= 1
            last = not desk.holders
        if last:
            desk.call(desk.clerk.note)
            desk.call(desk.loop.call_later, LINGER, _end_if_idle, desk)


async def answered(settings: Settings, key: bytes, line: bytes) -> Answer:
    """Return what came of a request, once it has come.

    Who is cancelled leaves the batch where it is; the last one to leave is told how to go on.

    Raises:
        UpstreamError: the provider failed; another try may do better.
        ConfigError, DataError: as in `desk_of`.
    """
    with desk_of(settings) as desk:
        future = desk.enter(key, line)
        try:
            answer = await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            desk.leave(key, future)
            _part(desk)
            raise
        desk.clerk.taken.append(key)
        return answer


async def finished(settings: Settings) -> None:
    """Return once every batch of the folder has ended, its answers noted.

    Raises:
        UpstreamError: a batch cannot be followed now.
        ConfigError, DataError: as in `desk_of`.
    """
    with desk_of(settings) as desk:
        try:
            await asyncio.wrap_future(desk.finish())
        except asyncio.CancelledError:
            _part(desk)
            raise


def close_idle(folder: Path) -> None:
    """Close a folder's desk and wait for that, unless somebody uses it."""
    desk = _desks.get(folder)
    if desk is not None and _end_if_idle(desk):
        desk.thread.join()


def _part(desk: Desk) -> None:
    """Tell the last one who leaves before the end how to go on."""
    if desk.holders == 1:
        desk.teller.parted(sending=bool(desk.clerk.sending))


def _held(settings: Settings) -> Desk:
    while True:
        with _lock:
            desk = _desks.get(settings.folder)
            if desk is None or not desk.thread.is_alive():
                desk = Desk(settings)
                desk.holders = 1
                _desks[settings.folder] = desk
                desk.thread.start()
                return desk
            if not desk.ended and desk.settings == settings:
                desk.holders += 1
                return desk
            if not desk.ended and desk.holders:
                raise ConfigError(
                    f"{settings.folder}: another model with other settings waits for its batches here; give one of the "
                    "two a `folder` of its own"
                )
        # It is closing, or idle and of other settings: its thread takes a moment to let the folder go.
        _end_if_idle(desk)
        desk.thread.join()


def _end_if_idle(desk: Desk) -> bool:
    with _lock:
        if desk.holders:
            return False
        desk.ended = True
    desk.stop()
    return True


@atexit.register
def _close_all() -> None:
    """Write down what was taken: the thread of a desk ends with the process wherever it stands."""
    for desk in list(_desks.values()):
        if desk.thread.is_alive():
            desk.stop()
            desk.thread.join(5)
