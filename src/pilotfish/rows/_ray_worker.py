"""A worker of Ray: stages in a process of their own, which gets rows and gives lines for the journals."""

from __future__ import annotations

import asyncio
import pickle
import traceback
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from pilotfish.rows._journal import Entry, Line
from pilotfish.rows._session import Asked
from pilotfish.rows._works import StoppedError, Works
from pilotfish.rows.report import StageReport
from pilotfish.rows.stage import AsyncStage, Stage


@dataclass(slots=True)
class Told:
    """What a worker says of a batch, some of it at a time.

    Attributes:
        lines: what must be noted.
        onward: rows for the stages behind, at the batch's end.
        reports: at its end, what the worker's stages did so far.
        number: of the reports: a later one knows more.
        failure: why the batch did not come to its end, and where in the worker.
    """

    lines: list[Line] = field(default_factory=list)
    onward: list[Entry] = field(default_factory=list)
    reports: list[StageReport] | None = None
    number: int = 0
    failure: tuple[Exception, str] | None = None


class Worker:
    """What is made an actor of.

    Args:
        sent: the stages, pickled: their settings; what is heavy they load here, once.
        concurrency: rows under way at once in each `AsyncStage`; None goes by the stage.
        name: of the input.
        first, total: where these stages stand among those of the run.
        session: the run's, for whose folder answers are noted.
    """

    def __init__(
        self, sent: Sequence[bytes], concurrency: int | None, name: str, first: int, total: int, session: str
    ) -> None:
        stages: list[Stage] = [pickle.loads(one) for one in sent]  # noqa: S301  # from the process that hired us
        self._works = Works(stages, concurrency, name, first, total)
        self._session = session
        self._reports = 0
        self._paid = any(isinstance(stage, AsyncStage) for stage in stages)

    async def version(self) -> str:
        """Return which Pilotfish this machine has: the first answer of a worker that is ready."""
        return version("pilotfish")

    async def through(self, entries: list[Entry], path: str) -> AsyncIterator[Told]:
        """Put rows through the stages; `path` is where answers are noted that were paid for."""
        asked = Asked(Path(path), self._session) if self._paid else None
        if asked is not None and asked.over:
            yield Told(failure=(StoppedError("another session has begun in the folder"), ""))
            return
        lines: list[Line] = []
        some = asyncio.Event()

        def note(more: list[Line]) -> None:
            if asked is not None:
                asked.note(more)
            lines.extend(more)
            some.set()

        work = asyncio.ensure_future(self._works.through(entries, note))
        work.add_done_callback(lambda _: some.set())
        try:
            while not work.done():
                await some.wait()
                some.clear()
                if lines:
                    told, lines[:] = Told(list(lines)), []
                    yield told
            yield self._end(work, entries, lines)
        finally:
            work.cancel()
            if asked is not None:
                asked.close()

    def _end(self, work: asyncio.Future[None], entries: list[Entry], lines: list[Line]) -> Told:
        error = work.exception()
        self._reports += 1
        if isinstance(error, Exception):
            where = "" if isinstance(error, StoppedError) else "".join(traceback.format_exception(error))
            return Told(lines, [], self._works.reports, self._reports, (_sendable(error), where))
        if error is not None:
            raise error
        onward = [entry for entry in entries if entry.done < self._works.total]
        return Told(lines, onward, self._works.reports, self._reports)

    async def stop(self, error: Exception) -> None:
        """Begin no further row."""
        self._works.stop(error)

    async def close(self) -> None:
        """Let go of what the stages hold."""
        self._works.worker.shutdown(wait=True, cancel_futures=True)
        await self._works.let_go()


def _sendable(error: Exception) -> Exception:
    """Return an error that can be built anew in another process, with its notes."""
    try:
        same: Exception = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    except Exception:  # whatever an error's class may do
        same = RuntimeError(f"{type(error).__name__}: {error}")
    same.__notes__ = list(getattr(error, "__notes__", ()))
    return same
