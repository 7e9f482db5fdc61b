"""Workers of Ray for some stages of a run: who is free gets the next batch, who dies is replaced."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError, ModelError
from pilotfish.rows._journal import Entry, Line
from pilotfish.rows._ray_hands import Hand, Hands
from pilotfish.rows._ray_worker import Told, Worker
from pilotfish.rows._session import left
from pilotfish.rows._works import Note

_log = logging.getLogger(__name__)
TRIES = 4  # workers that a batch may cost, one after another
TOGETHER = 2  # after as many it is tried alone, for another batch in the same worker may be the cause


class RemoteError(Exception):
    """Where in a worker an error was raised: its traceback there, as text."""


class Pool:
    """Workers with the same stages.

    Args:
        ray: the module, connected.
        built: what a `Worker` is built from.
        total: stages of the whole run.
        options: what a worker needs, in Ray's words.
        size: how many workers.
        slots: batches under way at once in each.
    """

    def __init__(
        self, ray: Any, built: tuple[Any, ...], total: int, options: dict[str, Any], size: int, slots: int
    ) -> None:
        self._ray, self._built, self._total = ray, built, total
        # Two more calls than batches: to stop, and to close.
        self._kind = ray.remote(Worker).options(**options, max_concurrency=slots + 2, max_restarts=0)
        self.hands: list[Hand] = []
        self._free = Hands(slots)
        self._hiring = {asyncio.ensure_future(self._hire()) for _ in range(size)}

    async def _hire(self) -> None:
        """Put a worker to work, or say that none will begin."""
        error: Exception = ConfigError("no worker")
        for _ in range(TRIES):
            hand = Hand(self._kind.remote(*self._built))
            self.hands.append(hand)
            try:
                theirs = await hand.actor.version.remote()
            except self._ray.exceptions.RayError as why:
                # It may have been killed as it began; where its machine cannot build a stage, none will ever do.
                hand.alive = False
                error = ConfigError(f"workers of Ray could not begin: {_short(str(why))}")
                continue
            if theirs == version("pilotfish"):
                self._free.add(hand)
                return
            error = ConfigError(f"a worker has Pilotfish {theirs}, this machine {version('pilotfish')}")
            break
        self._free.fail(error)

    async def through(self, entries: list[Entry], path: Path, note: Note) -> list[Entry]:
        """Put rows through the stages; return those that go on to the stages behind.

        Args:
            entries: the rows.
            path: the file in which a worker notes what was paid for, until it is here.
            note: is told of what must be kept.

        Raises:
            ModelError: one worker after another died of these rows.
        """
        here: dict[int, Line] = {}
        tries, lost = TRIES, 0

        def noted(lines: list[Line]) -> None:
            nonlocal tries
            note(lines)
            here.update((line.row, line) for line in lines)
            # A worker that got something done before it died did not die of these rows, as far as one can tell.
            tries = TRIES if lines else tries

        reason = ""
        while tries:
            hand = await self._free.take(alone=lost >= TOGETHER)
            try:
                onward = await self._given(hand, entries, path, noted)
            except self._ray.exceptions.RayTaskError:
                raise
            except self._ray.exceptions.RayError as error:
                reason = _short(str(error))
                self._lost(hand, reason)
                tries, lost = tries - 1, lost + 1
            else:
                _remove(path)
                return onward
            # Of what was noted last in each row some may have been on its way here.
            found = await asyncio.get_running_loop().run_in_executor(None, list, left(path))
            noted([Line.of(entry) for entry in found if entry.row not in here or here[entry.row].done < entry.done])
            entries = [here[entry.row].entry if entry.row in here else entry for entry in entries]
            entries = [entry for entry in entries if entry.done < self._total]
            if not entries:
                return []
        first, last = entries[0].row + 1, entries[-1].row + 1
        raise ModelError(f"{TRIES} workers died, one after another, of rows {first} to {last}: {reason}")

    async def _given(self, hand: Hand, entries: list[Entry], path: Path, note: Note) -> list[Entry]:
        end = Told()
        try:
            async for ref in hand.actor.through.remote(entries, str(path)):
                end = await ref
                if end.lines:
                    note(end.lines)
        finally:
            # Whatever became of it: also who asked may have stopped waiting.
            self._free.give_back(hand)
        hand.hear(end.reports, end.number)
        if end.failure is None:
            return end.onward
        error, where = end.failure
        raise error from RemoteError(f"\n{where}") if where else None

    def _lost(self, hand: Hand, reason: str) -> None:
        """Put another worker in the place of one that died."""
        if hand.alive:
            _log.warning("a worker died, another takes over its rows: %s", reason)
            self._free.lost(hand)
            self._end(hand)
            task = asyncio.ensure_future(self._hire())
            self._hiring.add(task)
            task.add_done_callback(self._hiring.discard)

    def stop(self, error: Exception) -> None:
        """Begin no further row."""
        for hand in self.hands:
            if hand.alive:
                hand.actor.stop.remote(error)

    async def let_go(self, *, gently: bool) -> None:
        """End the workers; gently lets them close what they hold first, which waits for what they are at."""
        for task in self._hiring:
            task.cancel()
        if gently and (open_ := [hand for hand in self.hands if hand.alive]):
            closing = [asyncio.ensure_future(_awaited(hand.actor.close.remote())) for hand in open_]
            await asyncio.wait(closing, timeout=5)
        self.end()

    def end(self) -> None:
        """End the workers at once, from whatever thread."""
        for hand in self.hands:
            self._end(hand)

    def _end(self, hand: Hand) -> None:
        with suppress(Exception):
            self._ray.kill(hand.actor)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _awaited(ref: Any) -> None:
    with suppress(Exception):
        await ref


def _short(text: str) -> str:
    """Return the last line of a traceback, which says what happened, or the first one of anything else."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()] or [""]
    line = lines[-1] if "Traceback" in text else lines[0]
    return line if len(line) <= 300 else line[:299] + "…"
