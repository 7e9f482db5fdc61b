"""Where requests are handed in and their answers out: one desk a folder, in a thread of its own.

Any event loop of any thread may ask. The desk's own loop does all the rest, so that nothing of it ends with a caller's
loop, and the journal has one writer. It lives as long as somebody waits, and a moment longer.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack, suppress

from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.models._batch_clerk import CLOSED, Answer, Clerk, Waiting
from pilotfish.models._batch_journal import Journal
from pilotfish.models._batch_settings import Settings
from pilotfish.models._batch_told import Teller
from pilotfish.rows._lock import locked

__all__ = ["LINGER", "Desk"]

LINGER = 0.5  # seconds that a desk stays after the last one has left: the next question often comes at once


class Desk:
    """The desk of one folder; `desk_of` lends it.

    Raises:
        ConfigError: another process has the folder, or it holds another endpoint's batches.
        DataError: the journal cannot be used.

    Attributes:
        holders: how many use it now; changed under the lock of the desks.
        ended: whether it takes nobody any more.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.holders, self.ended = 0, False
        self.teller = Teller(shown=settings.progress)
        with ExitStack() as opened:
            opened.enter_context(locked(settings.folder))
            self.journal = Journal(settings.folder)
            opened.callback(self.journal.close)
            if strangers := {plan.base for plan in self.journal.plans()} - {settings.base}:
                raise ConfigError(
                    f"{settings.folder} holds the batches of {min(strangers)}, not of {settings.base}: choose another "
                    "folder"
                )
            self.loop = asyncio.new_event_loop()
            opened.callback(self.loop.close)
            self.clerk = Clerk(settings, self.journal, self.teller, self.loop)
            self._opened = opened.pop_all()
        self._gate = threading.Lock()
        self.thread = threading.Thread(target=self._live, name="pilotfish-batches", daemon=True)

    def enter(self, key: bytes, line: bytes) -> Future[Answer]:
        """Ask."""
        future: Future[Answer] = Future()
        self._ask(self.clerk.take_in, Waiting(key, line, [future]))
        return future

    def leave(self, key: bytes, future: Future[Answer]) -> None:
        """Wait no longer."""
        self.call(self.clerk.let_go, key, future)

    def finish(self) -> Future[None]:
        """Return what is done when every batch has ended."""
        future: Future[None] = Future()
        self._ask(self.clerk.finish, future)
        return future

    def stop(self) -> None:
        """End."""
        self.call(self.clerk.stop)

    def call(self, what: Callable[..., object], *arguments: object) -> None:
        """Have something done in the desk's thread; nothing where it has ended."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(what, *arguments)

    def _ask(self, what: Callable[..., object], *arguments: object) -> None:
        # Under the gate: what is asked before the end is answered, if with the end; what comes after is refused.
        with self._gate:
            if self.ended:
                raise UpstreamError(CLOSED)
            self.call(what, *arguments)

    def _live(self) -> None:
        asyncio.set_event_loop(self.loop)
        failure: BaseException | None = None
        try:
            self.loop.run_until_complete(self.clerk.work())
        except BaseException as error:
            failure = error
        finally:
            with self._gate:
                self.ended = True
            # Who asked in the last moment has put a call into the loop that is still to be run.
            self.loop.run_until_complete(asyncio.sleep(0))
            self.clerk.close(failure)
            self._opened.close()
