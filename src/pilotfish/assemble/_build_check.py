"""From a checked table to a check of replies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.measure.checks import ByFunction, CodeRuns, FitsSchema, Matches

__all__ = ["build_check", "read_schema"]


def build_check(by: str, given: dict[str, Any], folder: Path) -> Matches | FitsSchema | CodeRuns | ByFunction:
    """Return the check of a kind with its settings; `folder` is what relative paths start from.

    Raises:
        ConfigError: a pattern, a schema or a function that is none.
    """
    from pilotfish.measure import checks

    given = dict(given)
    if by == "pattern":
        return checks.Matches(given["pattern"])
    if by == "schema":
        path = given.get("schema_file")
        return checks.FitsSchema(None if path is None else read_schema(folder / path))
    if by == "code":
        return checks.CodeRuns(**given)
    return checks.ByFunction(given.pop("function"), **given)


def read_schema(path: Path) -> dict[str, Any]:
    """Return the JSON schema of a file.

    Raises:
        ConfigError: it cannot be read, or is no object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"schema_file {path}: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"schema_file {path} holds no JSON object")
    return found
