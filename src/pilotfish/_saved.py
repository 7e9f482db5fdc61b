"""Read what was saved in a folder, and say of any other folder that it does not hold it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError, ModelError


@contextmanager
def reading(folder: str | Path, what: str) -> Iterator[None]:
    """Turn what goes wrong while a folder is read into one line.

    Args:
        folder: the folder.
        what: it should hold, such as "label model".

    Raises:
        ModelError: the folder holds none, or a damaged one.
    """
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ConfigError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ModelError(f"{folder}: not a saved {what}: {said}") from error
    except Exception as error:
        # Told by its name: the library need not be there for what has no arrays.
        if type(error).__name__ != "SafetensorError":
            raise
        raise ModelError(f"{folder}: not a saved {what}: {error}") from error


def facts_in(path: Path, what: str, version: int | None = None) -> dict[str, Any]:
    """Return the JSON object of a file, within `reading`.

    Args:
        path: the file.
        what: it tells of, as in `reading`.
        version: the format that is understood, of files that say theirs.

    Raises:
        ModelError: another format.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    if not isinstance(told, dict):
        raise TypeError(f"{path.name} holds no JSON object")
    if version is not None and told["format"] != version:
        raise ModelError(f"{path.parent}: a {what} of format {told['format']}; this version reads {version}")
    return told
