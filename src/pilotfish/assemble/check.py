"""Check a table against its spec, and say in one line what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pilotfish.errors import ConfigError, did_you_mean

T = TypeVar("T", bound=BaseModel)


def checked(spec: type[T], table: Mapping[str, Any], where: str) -> T:
    """Return the table as a `spec`.

    Raises:
        ConfigError: one fault, in one line that begins with `where`; an unknown key names the nearest known one.
    """
    try:
        return spec.model_validate(dict(table))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
    # A key that is missing is often there under a name with a slip in it: that name says more.
    fault = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    path = [str(part) for part in fault["loc"]]
    key = ".".join(path)
    if fault["type"] == "extra_forbidden":
        known = _known(spec, path[:-1])
        raise ConfigError(f"{where}: unknown key {key!r}{did_you_mean(path[-1], known)}")
    if fault["type"] == "missing":
        raise ConfigError(f"{where}: the key {key!r} is missing")
    said = fault["msg"].removeprefix("Value error, ")
    raise ConfigError(f"{where}: {f'{key}: ' if key else ''}{said[:1].lower()}{said[1:]}")


def _known(spec: type[BaseModel], path: list[str]) -> list[str]:
    """Return the field names at a path inside a spec."""
    for part in path:
        field = spec.model_fields.get(part)
        options = [] if field is None else [field.annotation, *getattr(field.annotation, "__args__", ())]
        inner = [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]
        if not inner:
            return []
        spec = inner[0]
    return [field.alias or name for name, field in spec.model_fields.items()]
