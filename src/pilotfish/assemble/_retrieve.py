"""The indexes and retrievers of a file: their tables checked, and what they describe, each built once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._specs_retrieve import RETRIEVERS, ByWaySpec, IndexSpec, RetrieverSpec
from pilotfish.assemble.check import checked
from pilotfish.assemble.specs import references
from pilotfish.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.retrieve.found import Retriever
    from pilotfish.retrieve.index import Index

__all__ = ["Retrieval"]


class Retrieval:
    """The `[indexes]` and `[retrievers]` of a file.

    Args:
        indexes: tables by their names.
        retrievers: tables by their names.
        models: names of the file's models.
        where: the file, for errors.

    Raises:
        ConfigError: an unknown key or kind, a name that stands for nothing, or retrievers that contain themselves.
    """

    def __init__(
        self,
        indexes: Mapping[str, Mapping[str, Any]],
        retrievers: Mapping[str, Mapping[str, Any]],
        models: list[str],
        where: str,
    ) -> None:
        self.where = where
        self.indexes = {name: checked(IndexSpec, one, f"{where}: [indexes.{name}]") for name, one in indexes.items()}
        self.retrievers = {name: self._spec(name, table) for name, table in retrievers.items()}
        self._built: dict[str, Any] = {}
        self._opened: dict[str, Index] = {}
        for name, spec in self.retrievers.items():
            at = f"{where}: [retrievers.{name}]"
            if isinstance(spec, ByWaySpec):
                self._is_there(f"{at} index", spec.index, self.indexes, "index")
            for key, target in spec.retrievers:
                self._is_there(f"{at} {key}", target, self.retrievers, "retriever")
            for key, target in references(spec):
                self._is_there(f"{at} {key}", target, models, "model")
        for name in self.retrievers:
            self._check_circles(name, ())

    def _spec(self, name: str, table: Mapping[str, Any]) -> RetrieverSpec:
        where = f"{self.where}: [retrievers.{name}]"
        use = table.get("use")
        if not isinstance(use, str):
            raise ConfigError(f"{where}: the key 'use' is missing; known: {', '.join(RETRIEVERS)}")
        if use not in RETRIEVERS:
            raise ConfigError(f"{where}: unknown use {use!r}{did_you_mean(use, RETRIEVERS)}")
        return checked(RETRIEVERS[use], table, where)

    def _is_there(self, at: str, target: str, known: Any, what: str) -> None:
        if target not in known:
            raise ConfigError(f"{at} = {target!r}: no such {what}{did_you_mean(target, known)}")

    def _check_circles(self, name: str, above: tuple[str, ...]) -> None:
        if name in above:
            circle = " -> ".join((*above, name))
            raise ConfigError(f"{self.where}: retrievers refer to each other in a circle: {circle}")
        for _, target in self.retrievers[name].retrievers:
            self._check_circles(target, (*above, name))

    def models_of(self, name: str) -> list[str]:
        """Return the models that a retriever names, by way of others too."""
        spec = self.retrievers[name]
        below = [model for _, other in spec.retrievers for model in self.models_of(other)]
        return [*(target for _, target in references(spec)), *below]

    def finds_by(self, name: str) -> dict[str, Any]:
        """Return the tables that decide what a retriever finds, as plain data."""
        spec = self.retrievers[name]
        found: dict[str, Any] = {name: spec.model_dump(mode="json", exclude_none=True)}
        if isinstance(spec, ByWaySpec):
            found[f"indexes.{spec.index}"] = self.indexes[spec.index].model_dump(mode="json", exclude_none=True)
        for _, other in spec.retrievers:
            found |= self.finds_by(other)
        return found

    def chosen(self, name: str | None) -> str:
        """Return the name of the retriever that is meant: the only one, where none is named.

        Raises:
            ConfigError: no such retriever, or none named where there are several.
        """
        if name is None and len(self.retrievers) == 1:
            return next(iter(self.retrievers))
        if name is None:
            held = ", ".join(self.retrievers) or "none"
            raise ConfigError(f"{self.where}: say which of its [retrievers]: {held}")
        if name not in self.retrievers:
            raise ConfigError(f"{self.where}: no retriever {name!r}{did_you_mean(name, self.retrievers)}")
        return name

    def retriever(self, name: str | None, models: Collaboration) -> Retriever:
        """Return a retriever, built with all it refers to; the same object each time.

        Raises:
            ConfigError: no such retriever, or its index was made with another model.
            ModelError: its index is not there.
        """
        from pilotfish.assemble._build_retrieve import BUILD

        name = self.chosen(name)
        if name not in self._built:
            spec = self.retrievers[name]
            build: Callable[..., Retriever] = BUILD[type(spec)]
            self._built[name] = build(name, spec, self, models)
        built: Retriever = self._built[name]
        return built

    def index(self, name: str, models: Collaboration, *, new: bool = False) -> Index:
        """Return an index, opened; or, with `new`, made where it is not there.

        Raises:
            ConfigError: no such index, or one that was made otherwise.
            ModelError: it is not there.
        """
        from pilotfish.assemble._build_retrieve import opened

        if name not in self.indexes:
            raise ConfigError(f"{self.where}: no index {name!r}{did_you_mean(name, self.indexes)}")
        if name not in self._opened:
            self._opened[name] = opened(name, self.indexes[name], models, new=new)
        return self._opened[name]
