"""What a cache is a cache of: one teacher, one temperature, one form of record."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pilotfish.errors import DataError
from pilotfish.rows._atomic import atomic

__all__ = ["NAME", "VERSION", "Manifest"]

NAME = "cache.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts that every record of a cache shares.

    Attributes:
        teacher: the teacher's name; for people, two names may be one model.
        fingerprint: of its weights.
        dtype: what it computed in.
        vocabulary: tokens of its distributions.
        k: how many of them a record names.
        bits: of each log-probability in a record.
        temperature: its logits were divided by this before the softmax.
        version: of the form of the files.
    """

    teacher: str
    fingerprint: str
    dtype: str
    vocabulary: int
    k: int
    bits: int
    temperature: float = 1.0
    version: int = VERSION

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read a folder's manifest.

        Raises:
            DataError: there is none, or it is not one of this version.
        """
        path = folder / NAME
        try:
            told = json.loads(path.read_bytes())
            if told["version"] != VERSION:
                raise DataError(f"{path}: made by another version ({told['version']}); capture into another folder")
            return cls(**told)
        except FileNotFoundError:
            raise DataError(f"{folder}: no teacher was captured here (no {NAME}); run `capture` first") from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path}: not the manifest of a teacher's cache: {error}") from None

    def write(self, folder: Path) -> None:
        """Write it into a folder, whole or not at all.

        Raises:
            DataError: the disk is full or refuses.
        """
        with atomic(folder / NAME) as file:
            file.write(json.dumps(asdict(self), ensure_ascii=False, indent=1).encode() + b"\n")

    def check(self, folder: Path, wanted: Manifest) -> None:
        """Check that records of `wanted` may be added to the cache that this is the manifest of.

        Raises:
            DataError: they differ in more than the teacher's name.
        """
        differ = [field.name for field in fields(self) if getattr(self, field.name) != getattr(wanted, field.name)]
        if differ in ([], ["teacher"]):
            return
        if "fingerprint" in differ:
            what = f"of the teacher {self.teacher!r} with other weights than this {wanted.teacher!r}"
        else:
            name = next(name for name in differ if name != "teacher")
            what = f"with {name} {getattr(self, name)}, not {getattr(wanted, name)}"
        raise DataError(f"{folder}: holds a cache {what}; choose another folder, or remove this one")
