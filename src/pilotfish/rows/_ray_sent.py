"""A stage as bytes for a worker: its settings, with models that load there, and locks made anew."""

from __future__ import annotations

import inspect
import io
import threading
from functools import partial
from types import FunctionType
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.rows.stage import Stage

_LOCKS = {type(threading.Lock()): threading.Lock, type(threading.RLock()): threading.RLock}


def sent(ray: Any, stage: Stage) -> bytes:
    """Return a stage as a worker gets it: functions and classes that it could not import come along.

    Raises:
        ConfigError: the stage holds what exists in this process only, as an open file.
    """
    base: Any = ray.cloudpickle.Pickler

    def reducer_override(pickler: Any, given: Any) -> Any:
        if type(given) in _LOCKS:
            return _LOCKS[type(given)], ()
        if isinstance(given, threading.local):
            return threading.local, ()
        settings = _settings(given)
        if settings is not None:
            build: Any = type(given)
            return partial(build, **settings), ()
        return base.reducer_override(pickler, given)

    kind: Any = type("Pickler", (base,), {"reducer_override": reducer_override})
    file = io.BytesIO()
    try:
        kind(file).dump(stage)
    except Exception as error:  # whatever a setting's class may do
        raise ConfigError(f"{stage.title} cannot be sent to a worker: {type(error).__name__}: {error}") from None
    return file.getvalue()


def _settings(given: Any) -> dict[str, Any] | None:
    """Return what a model of ours was built from that has a method to `load` its weights; None for anything else.

    Its weights are then loaded by each worker and travel with no stage, whether or not they are loaded here.
    """
    kind = type(given)
    if not kind.__module__.startswith("pilotfish.models.") or not isinstance(
        inspect.getattr_static(kind, "load", None), FunctionType
    ):
        return None
    found = {}
    for name in inspect.signature(kind).parameters:
        place = name if hasattr(given, name) else f"_{name}"
        if not hasattr(given, place):
            return None
        found[name] = getattr(given, place)
    return found
