"""A run whose folder is behind a URL: the work is done in a folder on this machine, and what is whole is put there.

An object store has neither locks nor renames, and nothing can be appended to in it. So journals stay on this machine's
disk; a shard is put when it is whole, its marker after it, `report.json` after all others. A run that goes on elsewhere
takes the whole shards from there, and does the rest anew. The lock is this machine's: two machines must not write to
one URL at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pilotfish._home import home
from pilotfish.errors import ConfigError
from pilotfish.rows._remote import file_system, plainly
from pilotfish.rows._shards import Marker, marker_path, markers, rejects_path

__all__ = ["Store"]

RUN, REPORT, REJECTS = "run.json", "report.json", "rejects.jsonl"


class Store:
    """The folder behind a URL, and the one on this machine that stands for it.

    Attributes:
        url: without a slash at its end.
        folder: on this machine, in the user's cache.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._system, self._path = file_system(self.url)
        self.folder = home() / "runs" / hashlib.sha256(self.url.encode()).hexdigest()[:24]

    def _there(self) -> dict[str, str]:
        """Return the names of what is there, and where each is."""
        with plainly(self.url):
            self._system.invalidate_cache()
            if not self._system.exists(self._path):
                return {}
            return {Path(path).name: path for path in self._system.ls(self._path, detail=False)}

    def pull(self) -> None:
        """Take in whole shards that this machine does not have, and put those that are not there yet.

        Raises:
            ConfigError: the run that is there is another one than the one here.
            DataError: the store does not answer.
        """
        there = self._there()
        if RUN in there:
            self._get(there[RUN], RUN, compared=True)
        for name in sorted(there):
            if name.endswith(".done") and name.startswith("shard-") and not (self.folder / name).exists():
                stem = name.removesuffix(".done")
                for part in (f"{stem}.jsonl", f"{stem}.parquet", f"{stem}.rejects.jsonl"):
                    if part in there:
                        self._get(there[part], part)
                self._get(there[name], name)
        for name in (REJECTS, REPORT):
            if name in there and not (self.folder / name).exists():
                self._get(there[name], name)
        for marker in markers(self.folder) if self.folder.is_dir() else ():
            if marker_path(self.folder, marker.shard).name not in there:
                self.push(marker)

    def _get(self, path: str, name: str, *, compared: bool = False) -> None:
        with plainly(self.url):
            data = self._system.cat_file(path)
        here = self.folder / name
        if compared and here.exists():
            if here.read_bytes() != data:
                raise ConfigError(
                    f"{self.url}: holds another run than {self.folder}, where the work for it is done; "
                    "start again with --fresh (this discards both), or choose another URL"
                )
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        part = here.with_name(f".{name}.tmp")
        part.write_bytes(data)
        part.replace(here)

    def clear(self, names: Sequence[str]) -> None:
        """Remove what an earlier run has put there, where there is one; `names` are patterns."""
        there = self._there()
        if RUN in there:
            gone = [path for name, path in there.items() if any(Path(name).match(pattern) for pattern in names)]
            with plainly(self.url):
                for path in sorted(gone, key=lambda path: not path.endswith(".done")):
                    self._system.rm_file(path)

    def void(self, shard: int) -> None:
        """Remove a shard that is made anew, its marker first."""
        marker = marker_path(self.folder, shard)
        with plainly(self.url):
            for ending in (".done", ".rejects.jsonl", ".jsonl", ".parquet"):
                path = f"{self._path}/{marker.with_suffix(ending).name}"
                if self._system.exists(path):
                    self._system.rm_file(path)

    def push(self, marker: Marker) -> None:
        """Put a whole shard, its marker last."""
        names = [marker.file] if marker.file is not None else []
        rejects = rejects_path(self.folder, marker.shard)
        names += [rejects.name] if rejects.exists() else []
        self.put([*names, marker_path(self.folder, marker.shard).name])

    def put(self, names: Sequence[str]) -> None:
        """Put files, in this order.

        Raises:
            DataError: the store does not take one.
        """
        with plainly(self.url):
            self._system.makedirs(self._path, exist_ok=True)
            for name in names:
                self._system.put_file(str(self.folder / name), f"{self._path}/{name}")
