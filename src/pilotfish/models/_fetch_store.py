"""Where models live on disk, and what makes a folder there trustworthy: a lock, a marker written last, a rename."""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pilotfish._home import home
from pilotfish.errors import ModelError
from pilotfish.rows._atomic import sync

__all__ = ["MARKER", "clear_errors", "digest", "install", "locked", "read_marker", "remembered_digest"]

MARKER = "pilotfish.json"
_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextlib.contextmanager
def clear_errors(what: str, where: Path) -> Iterator[None]:
    """Turn a failing disk into one line: `what` could not be done at `where`.

    Raises:
        ModelError: an OSError came up inside; it says whether the disk is full or the folder is not writable.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise ModelError(
                f"{what}: no space left on the disk of {where}; free some, or set PILOTFISH_HOME to a larger disk"
            ) from error
        reason = error.strerror or str(error)
        raise ModelError(f"{what}: {error.filename or where}: {reason}") from error


@contextlib.contextmanager
def locked(name: str, *, root: Path | None = None) -> Iterator[None]:
    """Hold the lock of `name`; another process that wants it waits and says so.

    The kernel drops the lock when its holder dies, however it dies. The lock file itself stays: removing it would let
    two waiters lock two different files.
    """
    folder = (root or home()) / "locks"
    with clear_errors(f"locking {name}", folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / f"{name}.lock").open("a+b")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"{name}: another process is fetching it; waiting\n")
            sys.stderr.flush()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def digest(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def remembered_digest(path: Path) -> str:
    """Return the sha256 of a file, read again only where its size or time of change differs from the last reading."""
    path = path.resolve()
    status = path.stat()
    seen = {"path": str(path), "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
    note = home() / "digests" / (hashlib.sha256(str(path).encode()).hexdigest()[:32] + ".json")
    known = _read_json(note)
    if known is not None and {key: known.get(key) for key in seen} == seen:
        return str(known["sha256"])
    value = digest(path)
    with clear_errors(f"noting the sha256 of {path.name}", note.parent):
        note.parent.mkdir(parents=True, exist_ok=True)
        write_json(note, {**seen, "sha256": value})
    return value


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON whole or not at all: a temporary file, flushed to disk, then renamed."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with beside.open("w", encoding="utf-8") as handle:
        json.dump(data, handle, indent=1, ensure_ascii=False)
        handle.flush()
        os.fsync(handle.fileno())
    beside.replace(path)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def read_marker(folder: Path, wanted: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """Return the marker of a finished folder, or None where it is not to be trusted.

    Not trusted: no marker, a listed file that is missing or of another size, or a key of `wanted` that differs (the
    catalog now names other contents).
    """
    marker = _read_json(folder / MARKER)
    if marker is None:
        return None
    if wanted is not None and any(marker.get(key) != value for key, value in wanted.items()):
        return None
    for name, size in dict(marker.get("files", {})).items():
        file = Path(marker.get("folder") or folder) / name
        if not file.is_file() or file.stat().st_size != size:
            return None
    return marker


@contextlib.contextmanager
def install(folder: Path, facts: dict[str, Any]) -> Iterator[Path]:
    """Give an empty folder to fill; when the block ends well it becomes `folder`, marked with `facts`, in one rename.

    Call it under `locked`. Whatever an earlier process left half-filled is removed first; a failing block leaves
    nothing. `facts` may be filled in inside the block; files, bytes and date are added here.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    old = folder.with_name(f".{folder.name}.old")
    with clear_errors(f"preparing {folder.name}", folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for leftover in (partial, old):
            if leftover.exists():
                shutil.rmtree(leftover)
        partial.mkdir()
    try:
        with clear_errors(f"writing {folder.name}", folder.parent):
            yield partial
            files = {str(p.relative_to(partial)): p.stat().st_size for p in sorted(partial.rglob("*")) if p.is_file()}
            for name in files:
                sync(partial / name)
            facts.setdefault("files", files)
            facts.setdefault("bytes", sum(facts["files"].values()))
            facts["date"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            write_json(partial / MARKER, facts)
            if folder.exists():
                folder.rename(old)
            partial.rename(folder)
            sync(folder.parent)
    finally:
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)
