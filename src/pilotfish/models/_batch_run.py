"""The way of one batch: sent, found again after a kill, waited for, its answers brought home."""

from __future__ import annotations

import asyncio
import functools
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pilotfish.errors import PilotfishError
from pilotfish.models._batch_api import BatchApi
from pilotfish.models._batch_form import Outcome, Status, is_crowded, outcome_of
from pilotfish.models._batch_journal import Journal, Plan
from pilotfish.models._batch_told import Teller
from pilotfish.models._http_errors import AttemptError
from pilotfish.rows._atomic import cannot_write

__all__ = ["CrowdedError", "Run", "leftovers"]

Found = list[tuple[bytes, Outcome]]
_ENDING = ".requests.jsonl"
_OUR_FILE = re.compile(r"[0-9a-f]{32}" + re.escape(_ENDING))
_AT_ONCE = 500  # lines that are noted together
_GROWTH, _LONGEST = 1.5, 6.0  # of the pauses between two looks, and how many times the first they come to at most


class CrowdedError(Exception):
    """The provider takes no batch of this size now: too many tokens wait there."""


class Run:
    """One batch on its way.

    Args:
        api: the provider.
        journal: what is noted on the way.
        teller: who tells people.
        plan: the batch.
    """

    def __init__(self, api: BatchApi, journal: Journal, teller: Teller, plan: Plan) -> None:
        self.api, self.journal, self.teller, self.plan = api, journal, teller, plan
        self.status: Status | None = None

    async def send(self, lines: Sequence[bytes], wanted: Callable[[], bool]) -> bool:
        """Send the requests and have the batch made; False where nobody wants it any more.

        Raises:
            CrowdedError: the provider has no room for it.
            UpstreamError: it was not made, or that is not known; then the batch stays noted and is looked for later.
            DataError: the file of requests cannot be written.
        """
        ours, path = self.plan.ours, self.journal.path.parent / f"{self.plan.ours}{_ENDING}"
        try:
            _write(path, lines)
            file = await self.api.patiently(lambda: self.api.upload(path))
        except PilotfishError:
            self.journal.dissolve(ours)
            raise
        finally:
            path.unlink(missing_ok=True)
        if not wanted():
            self.journal.dissolve(ours)
            return False
        self.journal.uploaded(ours, file)
        unsure = False

        async def once() -> Status:
            nonlocal unsure
            if unsure:
                found = await self._look()
                if found is not None:
                    return found
                self.journal.sent(ours)
            try:
                return await self.api.create(file, ours)
            except AttemptError as fault:
                unsure = unsure or not _refused(fault.status)
                # A file that has just come may not be known everywhere yet.
                fault.retry = fault.retry or (fault.status in (400, 404) and file in str(fault))
                raise

        try:
            self._see(await self.api.patiently(once))
        except PilotfishError as error:
            if not unsure:
                self.journal.dissolve(ours)
                if is_crowded(str(error)):
                    raise CrowdedError(str(error)) from None
            raise
        return True

    async def find(self) -> bool:
        """Find a batch of an earlier process of which it is not known whether it was made; False where it was not.

        Raises:
            UpstreamError: the provider cannot be asked.
        """
        found = await self._look(steadily=True)
        if found is not None:
            self._see(found)
        return found is not None

    async def wait(self) -> Status:
        """Look again and again until the batch has ended.

        Raises:
            UpstreamError: the provider cannot be asked for longer than the deadline.
        """
        pause = self.api.settings.poll
        while self.status is None or not self.status.ended:
            if self.status is not None:
                await asyncio.sleep(pause)
                pause = min(pause * _GROWTH, self.api.settings.poll * _LONGEST)
            name = self.status.id if self.status is not None else self.plan.id
            self._see(await self.api.patiently(functools.partial(self.api.get, name), steadily=True))
        return self.status

    async def harvest(self, status: Status, deliver: Callable[[Found], None]) -> None:
        """Bring what came of the requests; `deliver` gets it once it is noted. What is missing is told as such.

        Raises:
            UpstreamError: the files cannot be had; another look may do better.
        """
        ours, strange = self.plan.ours, Counter[str]()
        keys = self.journal.all_keys(ours)
        left = set(keys)
        for file in status.files:
            once = functools.partial(self._read, file, keys, left, deliver)
            seen, odd = await self.api.patiently(once)
            left -= seen
            strange += odd
        missing = self.journal.open_keys(ours)
        if status.status == "completed" and missing:
            strange["missing"] = len(missing)
        deliver(self.journal.keep(ours, _left(status, missing)))
        self.journal.end(ours)
        self.teller.ended(status, len(keys) - len(missing), strange)

    async def _read(
        self, file: str, keys: set[bytes], left: set[bytes], deliver: Callable[[Found], None]
    ) -> tuple[set[bytes], Counter[str]]:
        """Read a file once; return the requests that stand in it, and how many lines were odd in which way."""
        seen, strange, ready = set[bytes](), Counter[str](), Found()
        async for line in self.api.lines(file):
            read = outcome_of(line, self.api.shown)
            if read is None:
                strange["unreadable"] += 1
            elif read[0] not in keys:
                strange["of no request of ours"] += 1
            elif read[0] in seen or read[0] not in left:
                strange["double"] += 1
            else:
                seen.add(read[0])
                ready.append(read)
            if len(ready) == _AT_ONCE:
                deliver(self.journal.keep(self.plan.ours, ready))
                ready = []
        deliver(self.journal.keep(self.plan.ours, ready))
        return seen, strange

    async def _look(self, *, steadily: bool = False) -> Status | None:
        """Return the batch from the provider's list; None where it is not there and has had time to come there."""
        settle = self.api.settings.settle
        while True:
            plan = self.journal.plan_of(self.plan.ours) or self.plan
            age = time.time() - plan.sent
            once = functools.partial(self.api.find, plan.ours, plan.file, plan.sent)
            found = await (self.api.patiently(once, steadily=True) if steadily else once())
            if found is not None or not 0 <= age < settle:
                return found
            await asyncio.sleep(min(self.api.settings.poll, settle - age + 0.01))

    def _see(self, status: Status) -> None:
        self.status = status
        self.journal.made(self.plan.ours, status)
        self.teller.seen(status, self.plan.total)


def leftovers(folder: Path) -> list[Path]:
    """Return the files of requests that a killed process left: the prompts in them are not to stay.

    Only those of our own making: the folder may be one in which people keep their rows.
    """
    return [path for path in sorted(folder.iterdir()) if _OUR_FILE.fullmatch(path.name)]


def _left(status: Status, missing: dict[bytes, int]) -> Iterable[tuple[bytes, Outcome]]:
    """Yield why each of the requests without a line has no answer."""
    named = f"batch {status.id}"
    if status.status != "failed":
        why = {"completed": "has no line for this request", "expired": "expired before this request was answered"}
        said = why.get(status.status, "was cancelled before this request was answered")
        yield from ((key, Outcome(fault=f"{named} {said}; run again", again=True)) for key in missing)
        return
    blamed = {fault.line: fault.message or fault.code for fault in status.faults if fault.line is not None}
    for key, line in missing.items():
        if line in blamed:
            yield key, Outcome(fault=f"{named} failed for this request: {blamed[line]}", again=False)
        else:
            yield key, Outcome(fault=f"{named} failed: {status.why}; run again", again=True)


def _refused(status: int | None) -> bool:
    """Say whether a status tells that nothing was made: a refusal; not a timeout, a conflict or a server's error."""
    return status is not None and 300 <= status < 500 and status not in (408, 409)


def _write(path: Path, lines: Iterable[bytes]) -> None:
    """Write the file of requests, for its owner alone."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.writelines(lines)
    except OSError as error:
        raise cannot_write(path, error) from error
