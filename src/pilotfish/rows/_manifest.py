"""What a run folder is a run of, so that a resumed run does the same work or says why it will not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.rows._atomic import atomic
from pilotfish.rows._json import encoded

VERSION = 1
NAME = "run.json"
FRESH = "start again with --fresh (this discards what is there), or choose another folder"
_SHARDS = ("shard-*.jsonl", "shard-*.parquet", "shard-*.done", "shard-*.journal")
_OURS = (*_SHARDS, ".shard-*.tmp", ".*.json.*.tmp", ".asked-*")
PATTERNS = (*_SHARDS, "run.json", "report.json", "rejects.jsonl")
_FILES = (NAME, "report.json", "rejects.jsonl", "unread.rejects.jsonl", "input.spool", ".session")


def clear(folder: Path) -> None:
    """Remove what an earlier run left, and nothing else: without a manifest nothing there is known to be ours."""
    if not (folder / NAME).is_file():
        return
    for pattern in _OURS:
        for path in folder.glob(pattern):
            path.unlink()
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob("input.spool.*"):  # of what was behind a URL
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def check(folder: Path, wanted: dict[str, Any]) -> None:
    """Write the manifest of a new run, or compare with that of the run to resume.

    Raises:
        ConfigError: the folder holds another run, or shards of unknown origin; the text says what differs.
        DataError: the folder cannot be written to.
    """
    wanted = {"version": VERSION, **json.loads(encoded(wanted))}
    path = folder / NAME
    if not path.is_file():
        if any(folder.glob("shard-*")):
            raise ConfigError(f"{folder}: holds shards but no {NAME}; choose another folder")
        with atomic(path) as file:
            file.write(json.dumps(wanted, ensure_ascii=False, indent=2).encode() + b"\n")
        return
    try:
        there = json.loads(path.read_bytes(), object_hook=_moved)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); {FRESH}") from None
    if there != wanted:
        raise ConfigError(f"{folder}: cannot resume, {_difference(there, wanted)}; {FRESH}")


def _moved(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a class of ours without its module, which the first versions noted."""
    kind = entry.get("class")
    if isinstance(kind, str) and kind.startswith("pilotfish."):
        return {**entry, "class": kind.rpartition(".")[2]}
    return entry


def _difference(there: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Return in words what the first difference is."""
    if there.get("version") != wanted["version"]:
        return "it was made by another version"
    if there.get("input") != wanted["input"]:
        same = there.get("input", {}).get("sha256") == wanted["input"]["sha256"]
        return "the input is read with other options" if same else "the input has changed"
    old, new = there.get("stages", []), wanted["stages"]
    if old != new:
        if [stage["class"] for stage in old] != [stage["class"] for stage in new]:
            return "the stages are others"
        for place, (before, after) in enumerate(zip(old, new, strict=True), 1):
            for key in sorted(before["config"].keys() | after["config"].keys()):
                if before["config"].get(key) != after["config"].get(key):
                    return f"{key!r} of stage {place} ({after['class'].rpartition('.')[2]}) has changed"
    return next(
        (f"{key} was {there.get(key)}, not {wanted[key]}" for key in wanted if there.get(key) != wanted[key]),
        "its settings differ",
    )
