"""From a checked table to a check of replies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilotfish.models.catalog import Catalog
    from pilotfish.prompt.verify import Verifier

__all__ = ["build_check", "read_schema"]


def build_check(by: str, given: dict[str, Any], folder: Path, catalog: Catalog, part: Callable[[str], Any]) -> Verifier:
    """Return the check of a kind with its settings.

    Args:
        by: the kind.
        given: its settings.
        folder: what relative paths start from.
        catalog: where weights are looked up.
        part: gives the model of a name.

    Raises:
        ConfigError: a pattern, a schema, tests or a function that are none.
        ModelError: no verifier in its folder.
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
    if by == "function":
        return checks.ByFunction(given.pop("function"), **given)
    return _verifier(by, given, folder, catalog, part)


def _verifier(by: str, given: dict[str, Any], folder: Path, catalog: Catalog, part: Callable[[str], Any]) -> Verifier:
    from pilotfish.assemble._build_knowledge import supports_of
    from pilotfish.prompt import verify

    if by == "sums":
        return verify.SumsHold(**given)
    if by == "tests":
        path = given.pop("tests_file", None)
        return verify.PassesTests(None if path is None else _text(folder / path, "tests_file"), **given)
    if by == "grounded":
        return verify.Grounded(supports_of(given.pop("nli", "words"), catalog, folder), **given)
    if by == "cited":
        nli = given.pop("nli", None)
        if nli is not None:
            given["agreement"] = verify.by_support(supports_of(nli, catalog, folder))
        return verify.CitedAgreement(part(given.pop("model")), **given)
    return verify.Trusts(verify.AnswerVerifier.load(folder / given.pop("path"), catalog), **given)


def _text(path: Path, key: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{key} {path}: {error}") from None


def read_schema(path: Path) -> dict[str, Any]:
    """Return the JSON schema of a file.

    Raises:
        ConfigError: it cannot be read, or is no object.
    """
    try:
        found = json.loads(_text(path, "schema_file"))
    except ValueError as error:
        raise ConfigError(f"schema_file {path}: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"schema_file {path} holds no JSON object")
    return found
