"""Who may work on a folder: the session that holds its lock, and the workers that this session has.

A worker in another process notes each paid answer in a file of its own before it passes it on, so that an answer
outlives the worker. Whoever comes next takes these files in, and first waits for workers that a killed session has
left behind: they hold a lock on their files while they work, and begin nothing once another session has written its
name.
"""

from __future__ import annotations

import fcntl
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pilotfish.errors import ConfigError
from pilotfish.rows._atomic import atomic
from pilotfish.rows._journal import Entry, Journal, Line

NAME = ".session"
PATTERN = ".asked-*.journal"
PATIENCE = 30.0  # seconds for workers of a session that was killed; Ray ends them within one or two


def begun(folder: Path) -> str:
    """Write the name of a new session and return it; workers of others begin nothing more."""
    name = secrets.token_hex(8)
    with atomic(folder / NAME) as file:
        file.write(name.encode())
    return name


def ended(folder: Path) -> None:
    """Take the name of a session away."""
    (folder / NAME).unlink(missing_ok=True)


def here(folder: Path, name: str) -> bool:
    """Say whether this machine sees the folder of a session."""
    try:
        return (folder / NAME).read_text() == name
    except OSError:
        return False


class Asked:
    """What a worker was answered for one batch, on disk; nothing where its machine does not see the folder.

    Args:
        path: the file, which stands in the folder of the run.
        session: for whom the work is done.

    Attributes:
        over: whether another session has begun, so that this one must do nothing more.
    """

    def __init__(self, path: Path, session: str) -> None:
        self.over = False
        self._journal: Journal | None = None
        if not (path.parent / NAME).exists():
            return
        journal = Journal(path)
        fcntl.flock(journal.fileno, fcntl.LOCK_EX)
        # Only now: a session that came in between has written its name before it looks for files such as this one.
        with suppress(FileNotFoundError):
            self.over = (path.parent / NAME).read_text() != session
        if self.over:
            path.unlink(missing_ok=True)
            journal.close()
        else:
            self._journal = journal

    def note(self, lines: Sequence[Line]) -> None:
        """Write lines."""
        if self._journal is not None:
            self._journal.write(lines)

    def close(self) -> None:
        """Let go of the file; it stays until the session has all that is in it."""
        if self._journal is not None:
            self._journal.close()


def left(path: Path) -> Iterator[Entry]:
    """Yield what a worker that is gone has noted, and remove the file.

    Raises:
        ConfigError: it still works.
    """
    if not path.exists():
        return
    journal = Journal(path)
    try:
        _wait(journal, path)
        journal.load()
        yield from journal.entries()
    finally:
        journal.close()
    path.unlink(missing_ok=True)


def all_left(folder: Path) -> Iterator[Entry]:
    """Yield what workers of earlier sessions have noted."""
    for path in sorted(folder.glob(PATTERN)):
        yield from left(path)


def _wait(journal: Journal, path: Path) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(journal.fileno, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise ConfigError(f"{path.parent}: a worker of an earlier run is still at work; wait for it") from None
            time.sleep(0.05)
        else:
            return
