"""Write a file whole or not at all: into a temporary one beside it, to the disk, then renamed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pilotfish.errors import DataError


def cannot_write(path: Path | str, error: OSError) -> DataError:
    """Return the one-line error for a write that the system refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(f"cannot write {path}: the disk is full; free some space and run again")
    return DataError(f"cannot write {path}: {error.strerror or error}")


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write; it takes the place of `path` when the block ends well, and is removed when it does not.

    Raises:
        DataError: the system refuses to write, the disk is full.
    """
    path = path.resolve()  # a link stays a link: what it points to is replaced
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        # What the block itself ran into elsewhere, another file or a connection, is not for us to name.
        if isinstance(error, ConnectionError) or str(error.filename or temporary) not in (
            str(temporary),
            str(path.parent),
        ):
            raise
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, last through a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
