"""Settings as plain data, to tell whether two runs would do the same work."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePath
from types import CodeType, FunctionType
from typing import Any

from pilotfish.model import Model


def describe(value: Any) -> Any:
    """Return a value as JSON-able data that is equal for equal settings.

    A model goes by its class and what it says it is (`identity`, or else its name), for its time-outs and keys do not
    decide what it answers; one that answers as another does (`stands_for`) goes by that one. A collaboration, a
    dataclass that holds models, goes by its fields, so that another threshold is another setting. A function goes by
    its name and its code (not by values it closes over), any other object by its class and, where it says so, by what
    it is (`identity`).
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): describe(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [describe(entry) for entry in value]
    if isinstance(value, set | frozenset):
        return sorted((describe(entry) for entry in value), key=repr)
    kind = class_name(type(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
        if not isinstance(value, Model) or any(isinstance(entry, Model) for entry in fields.values()):
            shown = {name: describe(entry) for name, entry in fields.items() if not name.startswith("_")}
            return {"class": kind, **shown}
    if isinstance(value, Model):
        if (same := getattr(value, "stands_for", None)) is not None:
            return describe(same)
        return {"class": kind, "model": getattr(value, "identity", value.name)}
    if isinstance(value, FunctionType):
        return f"{value.__module__}.{value.__qualname__}:{_digest(value.__code__)}"
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(identity := getattr(value, "identity", None), str):
        return {"class": kind, "model": identity}
    return {"class": kind}


def class_name(kind: type) -> str:
    """Return what a class is called: ours without the module, which may move from version to version."""
    ours = kind.__module__.partition(".")[0] == "pilotfish"
    return kind.__qualname__ if ours else f"{kind.__module__}.{kind.__qualname__}"


def known_as(model: Model) -> str:
    """Return what tells a model's answers from another's: what it says it is, or a hash of a collaboration's parts."""
    told = describe(model)
    if isinstance(told, dict) and told.keys() == {"class", "model"}:
        return str(told["model"])
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _digest(code: CodeType) -> str:
    """Return a short hash of what a function does, blind to where it stands; it differs between Python versions."""
    consts = [_digest(const) if isinstance(const, CodeType) else repr(const) for const in code.co_consts]
    return hashlib.sha256(repr((code.co_code, consts, code.co_names)).encode()).hexdigest()[:12]
