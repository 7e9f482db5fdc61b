"""A result's folder: it holds one run's result, told by a digest of everything that decides it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from pilotfish.errors import DataError
from pilotfish.rows._atomic import atomic
from pilotfish.train.processes import is_main, wait

__all__ = ["digest", "finished", "settled", "write_report"]


def settled(settings: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that are not at their defaults.

    A setting that a later version adds, and whose default changes nothing, then leaves a run's identity as it was.
    """
    told = asdict(settings)
    return {
        field.name: told[field.name]
        for field in fields(settings)
        if field.default is MISSING or getattr(settings, field.name) != field.default
    }


def digest(settings: Any, rows: Iterable[str]) -> str:
    """Return a digest of settings, which are plain data, and of rows of text in their order."""
    found = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for row in rows:
        found.update(hashlib.sha256(row.encode("utf-8", "surrogatepass")).digest())
    return found.hexdigest()


def finished(out: Path, report: str, identity: str, own: Iterable[str]) -> dict[str, Any] | None:
    """Return the report of an earlier, finished run of the same identity; None where there is none.

    Args:
        out: the folder.
        report: the name of the report's file, which is written last.
        identity: of the run.
        own: names that a run of ours which has not ended leaves there.

    Raises:
        DataError: the folder holds another run's result, or something else altogether.
    """
    path = out / report
    if path.exists():
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if told.pop("identity", None) != identity:
            raise DataError(f"{out} holds the result of another run; give a new folder, or remove it")
        return told
    here = {entry.name for entry in out.iterdir()} if out.is_dir() else set()
    # A run killed while it wrote its weights left them without a report; only what is its own tells so.
    if here and not here & set(own):
        raise DataError(f"{out} holds {min(here)} already; give a new folder")
    return None


def write_report(out: Path, report: str, identity: str, told: Mapping[str, Any]) -> None:
    """Write the report that ends a run, where this process is the one that writes; all others wait for it."""
    if not is_main():
        wait()
        return
    with atomic(out / report) as file:
        file.write(json.dumps({"identity": identity, **told}, indent=2, ensure_ascii=False).encode())
    wait()
