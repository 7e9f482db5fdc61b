"""From a checked table to a cascade."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.assemble._specs_cascade import AcceptSpec, CascadeSpec
    from pilotfish.infer import Accept, Cascade


def build_cascade(name: str, spec: CascadeSpec, part: Callable[[str], Any], folder: Path) -> Cascade:
    """Return the cascade; `part` gives the model of another name, `folder` is what relative paths start from."""
    from pilotfish.infer import Cascade

    models = [part(one) for one in spec.names]
    accepts = [_accept(one, model, part, folder) for one, model in zip(spec.ways, models, strict=False)]
    return Cascade.of(models, accepts, name)


def _accept(spec: AcceptSpec, model: Any, part: Callable[[str], Any], folder: Path) -> Accept:
    """Return what trusts the replies of `model`."""
    from pilotfish import infer

    given = spec.settings()
    if spec.by == "score":
        return infer.Above(**given)
    if spec.by == "agreement":
        return infer.Agreement(model, **given)
    if spec.by == "self-verification":
        other = given.pop("model", None)
        return infer.SelfVerification(part(other) if other else model, **given)
    if spec.by == "pattern":
        return infer.Matches(spec.pattern or "")
    if spec.by == "schema":
        return infer.FitsSchema(None if spec.schema_file is None else _schema(folder / spec.schema_file))
    return infer.ByFunction(given.pop("function"), **given)


def _schema(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"schema_file {path}: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"schema_file {path} holds no JSON object")
    return found
