"""Where a command writes rows: a file, standard output, or a device or pipe that must not be replaced by a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.rows import Row, write
from pilotfish.rows._atomic import cannot_write
from pilotfish.rows._open import name_format
from pilotfish.rows.write import WRITABLE, write_to

__all__ = ["check_target", "put"]


def check_target(target: str, kind: str | None = None) -> str:
    """Return the format to write.

    Raises:
        ConfigError: the format is unknown or not told by the name, or the target is a folder.
    """
    if kind is not None and kind not in WRITABLE:
        raise ConfigError(f"cannot write the format {kind!r}{did_you_mean(kind, WRITABLE)}")
    if target == "-" and kind != "datasets":
        return kind or "jsonl"
    if kind == "datasets":
        if target == "-" or Path(target).is_file():
            raise ConfigError(f"{target}: datasets is a folder; give its name")
        return kind
    if Path(target).is_dir():
        raise ConfigError(f"{target}: a folder; give the file to write")
    named = kind or name_format(Path(target))
    if named is None:
        endings = ", ".join(f".{name}" for name in WRITABLE if name != "datasets")
        raise ConfigError(f"{target}: cannot tell the format from the name, which should end in one of {endings}")
    if named not in WRITABLE:
        raise ConfigError(f"{target}: cannot write the format {named!r}; it can be {', '.join(WRITABLE)}")
    return named


def put(rows: Iterable[Row], target: str, kind: str | None = None) -> int:
    """Write rows to a target and return how many.

    Raises:
        ConfigError: as for `check_target`.
        DataError: the disk is full or refuses; a row does not fit the format.
    """
    kind = check_target(target, kind)
    path = Path(target)
    if kind == "datasets" or target == "-" or not path.exists() or path.is_file():
        return write(rows, target, kind)
    try:
        with path.open("wb") as device:
            return write_to(rows, device, kind)
    except OSError as error:
        raise cannot_write(path, error) from error
