"""What an exported folder holds, and how it is checked: manifest.json, written last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pilotfish._saved import facts_in, reading
from pilotfish.compete.constrained.way import Way
from pilotfish.errors import ModelError
from pilotfish.rows._atomic import atomic

__all__ = ["NAME", "Manifest", "sealed"]

NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """What a folder is.

    Attributes:
        task: "classes", "similarity", "choices" or "text".
        kind: "encoder", "causal-lm" or "classifier".
        model: the name of the weights.
        licence: of the weights.
        way: runtime and precision.
        facts: what the runtime needs to know: lengths, sizes of the cache, labels.
        files: path -> {sha256, bytes} of every file but this one.
        measured: what was measured of this very folder, on which machine; empty until it was.
    """

    task: str
    kind: str
    model: str
    licence: str
    way: Way
    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def disk(self) -> int:
        """Bytes of the files."""
        return sum(int(one["bytes"]) for one in self.files.values())

    @property
    def digest(self) -> str:
        """What tells this folder's contents from another's."""
        told = {"files": {name: one["sha256"] for name, one in self.files.items()}, "facts": self.facts}
        whole = json.dumps([told, self.task, self.kind, str(self.way)], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()[:24]

    def save(self, folder: Path) -> None:
        """Write manifest.json, whole or not at all.

        Raises:
            DataError: the disk takes it not.
        """
        told = {"format": FORMAT, **asdict(self)}
        with atomic(folder / NAME) as file:
            file.write(json.dumps(told, ensure_ascii=False, indent=1).encode() + b"\n")

    @classmethod
    def load(cls, folder: Path, *, check: bool = False) -> Manifest:
        """Read the manifest of a folder, and see that its files are there, each of its size.

        Args:
            folder: the folder.
            check: read every file and hold it against its sha256.

        Raises:
            ModelError: no such folder, or one that is damaged.
        """
        with reading(folder, "fitted model"):
            told = facts_in(folder / NAME, "fitted model", FORMAT)
            told.pop("format")
            found = cls(**{**told, "way": Way(**told["way"])})
        for name, one in found.files.items():
            path = folder / name
            if not path.is_file() or path.stat().st_size != one["bytes"]:
                raise ModelError(f"{folder}: {name} is missing, or not of the size that {NAME} tells")
            if check and _sha256(path) != one["sha256"]:
                raise ModelError(f"{folder}: {name} has changed: its sha256 is not what {NAME} tells")
        return found


def sealed(manifest: Manifest, folder: Path, measured: Mapping[str, Any] | None = None) -> Manifest:
    """Return the manifest with every file of the folder counted in, and write it there."""
    files = {
        str(path.relative_to(folder)): {"sha256": _sha256(path), "bytes": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != NAME
    }
    found = replace(manifest, files=files, measured=dict(measured or manifest.measured))
    found.save(folder)
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
