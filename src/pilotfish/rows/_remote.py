"""Files behind a URL, as `s3://bucket/rows.jsonl` or `hf://datasets/org/name/data.parquet`, through fsspec."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pilotfish._extras import need
from pilotfish.errors import ConfigError, DataError, PilotfishError
from pilotfish.rows._atomic import atomic

__all__ = ["fetched", "file_system", "is_url", "local", "opened_url", "plainly"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://.")


def is_url(name: object) -> bool:
    """Say whether a source or a folder is behind a URL; `file://` is a path in other words."""
    return isinstance(name, str) and _URL.match(name) is not None and not name.startswith("file://")


def local(name: str | Path) -> Path:
    """Return a path, `file://` put aside."""
    return Path(name.removeprefix("file://")) if isinstance(name, str) else name


def file_system(url: str) -> tuple[Any, str]:
    """Return fsspec's file system for a URL, and the path in it.

    Raises:
        ConfigError: nothing is installed that knows such URLs.
        MissingExtra: fsspec is not installed.
    """
    fsspec = need("fsspec", "remote")
    with plainly(url):
        try:
            system, path = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"{url}: {str(error).strip().splitlines()[0]}") from None
    return system, str(path)


@contextmanager
def plainly(url: str) -> Iterator[None]:
    """Let what goes wrong at a store be one line with the URL.

    Raises:
        DataError: there is no such thing, it may not be had, or the store does not answer.
    """
    try:
        yield
    except (PilotfishError, KeyboardInterrupt):
        raise
    except FileNotFoundError:
        raise DataError(f"{url}: no such file") from None
    except Exception as error:  # each file system has errors of its own
        said = (str(error).strip().splitlines() or [""])[0]
        raise DataError(f"{url}: {type(error).__name__}: {said}") from None


@contextmanager
def opened_url(url: str) -> Iterator[BinaryIO]:
    """Give the bytes behind a URL as a stream."""
    system, path = file_system(url)
    with plainly(url):
        file = system.open(path, "rb")
    with file:
        yield file


def fetched(url: str, spool: Path) -> Path:
    """Return a copy of what is behind a URL, beside `spool`; one that is there is taken if the original is as it was.

    A run goes through its rows several times, sessions later too, and all of them must be the same rows.

    Raises:
        ConfigError, DataError: it cannot be had.
    """
    system, path = file_system(url)
    # The name's endings tell the format.
    copy = spool.with_name(spool.name + "".join(Path(path).suffixes[-2:]))
    note = spool.with_name(f"{spool.name}.json")
    with plainly(url):
        about = {"url": url, "is": str(system.ukey(path)) if system.isfile(path) else sorted(system.find(path))}
        try:
            if json.loads(note.read_bytes()) == about and copy.exists():
                return copy
        except (OSError, ValueError):
            pass
        note.unlink(missing_ok=True)
        spool.parent.mkdir(parents=True, exist_ok=True)
        if copy.is_dir():
            shutil.rmtree(copy)
        if system.isdir(path):
            system.get(path.rstrip("/") + "/", f"{copy}/", recursive=True)
        else:
            with system.open(path, "rb") as stream, atomic(copy) as file:
                shutil.copyfileobj(stream, file, 1 << 20)
    with atomic(note) as file:
        file.write(json.dumps(about).encode())
    return copy
