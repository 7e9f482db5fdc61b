"""Import an optional dependency, or say exactly which pip command installs it."""

from __future__ import annotations

import importlib
from typing import Any

from pilotfish.errors import MissingExtra


def need(module: str, extra: str) -> Any:
    """Return the imported `module`, which the extra `extra` installs.

    Raises:
        MissingExtra: the module is not installed; the text names the pip command.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A module that is there but lacks a dependency of its own is another fault: show it as it is.
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise
        package = module.partition(".")[0]
        raise MissingExtra(f"{package} is not installed: pip install 'pilotfish[{extra}]'") from None
