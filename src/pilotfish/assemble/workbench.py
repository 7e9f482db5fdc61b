"""A collaboration file that an advice writes as it goes: the user's models under new names, and what is built on them.

It implements `pilotfish.compete.advisor.parts.Parts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._weights import weights_from
from pilotfish.assemble.file import Collaboration
from pilotfish.assemble.specs import EncoderSpec, LocalSpec, references
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.model import Model

__all__ = ["PATHS", "Workbench", "catalog_of", "portable"]

# Keys of model tables that hold paths.
PATHS = (
    "weights",
    "path",
    "cache",
    "examples",
    "rows",
    "router",
    "retriever",
    "schema_file",
    "tests_file",
    "words_file",
)
INDEX, RETRIEVER = "documents", "both"
ENCODER = "document-encoder"


def portable(models: Collaboration, name: str, renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return a model's table as it can stand in another folder: absolute paths, its parts by new names.

    Args:
        models: the file that it is of.
        name: its name there.
        renamed: the new names of models.

    Raises:
        ConfigError: it looks things up by a retriever of its file, which stays behind.
    """
    table = models.table(name)
    if table.get("use") == "retrieve":
        raise ConfigError(f"the model {name!r} goes by a retriever of its own file: name the model behind it instead")
    told: dict[str, Any] = _absolute(table, models.folder)
    for key, target in references(models.spec(name)):
        _put(told, key.split("."), renamed.get(target, target))
    return told


def _absolute(value: Any, folder: Path, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _absolute(inner, folder, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_absolute(inner, folder, key) for inner in value]
    if key in PATHS and isinstance(value, str) and (folder / value).exists():
        return str((folder / value).resolve())
    return value


def _put(table: Any, path: list[str], value: str) -> None:
    for step in path[:-1]:
        table = table[int(step)] if step.isdigit() else table[step]
    table[int(path[-1]) if path[-1].isdigit() else path[-1]] = value


class Workbench:
    """Models for an advice.

    Args:
        models: the user's file.
        roles: "small", "large", "judge" -> the name of the user's model; they get those names here.
        out: the output folder, where relative paths start.
        documents: rows to look things up in; None without any.
        text, id_: their columns.
        encoder: weights of the encoder that reads them.
    """

    def __init__(
        self,
        models: Collaboration,
        roles: Mapping[str, str],
        out: Path,
        *,
        documents: str | None = None,
        text: str = "text",
        id_: str = "id",
        encoder: str = "all-minilm-l6-v2",
    ) -> None:
        self.folder = out
        renamed = {name: role for role, name in roles.items()}
        for name in roles.values():
            for part in models.answers_by(name):
                renamed.setdefault(part, f"part-{len(renamed)}")
        self._models = {new: portable(models, name, renamed) for name, new in renamed.items()}
        # One model in two roles gets both names; it is loaded once, for the second is a name of the first's.
        for role, name in roles.items():
            self._models.setdefault(role, portable(models, name, renamed))
        self.own = list(self._models)
        self._catalog = catalog_of(models)
        self._rest: dict[str, Any] = {}
        if documents is not None:
            self._rest = {
                "indexes": {
                    INDEX: {
                        "folder": "index",
                        "documents": str(Path(documents).resolve()),
                        "text": text,
                        "id": id_,
                        "bm25": {},
                        "dense": {"encoder": encoder},
                    }
                },
                "retrievers": {
                    "words": {"use": "bm25", "index": INDEX},
                    "meaning": {"use": "dense", "index": INDEX},
                    RETRIEVER: {"use": "hybrid", "of": ["words", "meaning"]},
                },
            }
        self._built: Collaboration | None = None
        self._before: dict[str, Any] = {}

    @property
    def file(self) -> Collaboration:
        """All tables as a file."""
        if self._built is None:
            data = {"models": self._models, "catalog": self._catalog, **self._rest}
            self._built = Collaboration(data, where="the advice", folder=self.folder)
            self._built.take(self._before)
        return self._built

    def add(self, models: Mapping[str, Mapping[str, Any]]) -> None:
        """See `Parts`. The user's own models are not built a second time."""
        taken = [name for name in models if name in self.own]
        if taken:
            raise ConfigError(f"the name {taken[0]!r} is one of the user's models")
        if self._built is not None:
            self._before = {name: self._built.part(name) for name in self.own if name in self._built.built}
        self._models |= {name: dict(table) for name, table in models.items()}
        self._built = None

    def model(self, name: str) -> Model:
        """See `Parts`."""
        return self.file.model(name)

    def identity(self, name: str) -> Any:
        """See `Parts`."""
        return self.file.answers_by(name)

    def make_index(self) -> int:
        """See `Parts`."""
        index = self.file.index(INDEX, new=True)
        _fill(index, self._rest["indexes"][INDEX])
        return len(index)

    def weights(self, name: str) -> str | None:
        """See `Parts`."""
        spec = self.file.spec(name)
        if not isinstance(spec, LocalSpec):
            return None
        return weights_from(spec.weights, self.folder)

    def is_local(self, name: str) -> bool:
        """Whether a model's weights are on this machine and it answers."""
        spec = self.file.spec(name)
        return isinstance(spec, LocalSpec) and not isinstance(spec, EncoderSpec)

    def given(self) -> dict[str, dict[str, Any]]:
        """Return the tables of the user's models, of the index and of catalog entries, by their full names."""
        found = {f"models.{name}": self._models[name] for name in self.own}
        for kind, tables in self._rest.items():
            found |= {f"{kind}.{name}": table for name, table in tables.items()}
        return found | {f'catalog."{name}"': entry for name, entry in self._catalog.items()}


def catalog_of(models: Collaboration) -> dict[str, dict[str, Any]]:
    """Return a file's own catalog entries as they can stand in another folder."""
    found = {}
    for name, entry in models.catalog_tables.items():
        source = str(entry.get("source", ""))
        if source.startswith("path:"):
            where = models.folder / Path(source.removeprefix("path:")).expanduser()
            source = f"path:{where.resolve()}"
        found[name] = {**entry, **({"source": source} if source else {})}
    return found


def _fill(index: Any, table: Mapping[str, Any]) -> None:
    from pilotfish.retrieve.documents import documents

    names = []

    def noted() -> Iterator[Any]:
        for document in documents(table["documents"], text=table["text"], id=table["id"]):
            names.append(document.id)
            yield document

    index.add(noted())
    # The folder may be of an earlier advice, whose documents were others.
    index.keep(names)
