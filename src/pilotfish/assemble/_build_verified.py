"""From a table of `_specs_verify` to its model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._build_cascade import accept_of
from pilotfish.assemble._specs_verify import VerifiedSpec

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog
    from pilotfish.prompt.verify import Verified

__all__ = ["build_verified"]

_BY_LOGPROBS = ("score", "learned")


def build_verified(
    name: str, spec: VerifiedSpec, part: Callable[[str], Any], catalog: Catalog, folder: Path
) -> Verified:
    """Return the model that a table describes.

    Raises:
        ConfigError: a check that is none, or a setting out of range.
    """
    from pilotfish.prompt.verify import Together, Verified

    model = part(spec.model)
    checks = [accept_of(name, one, model, part, catalog, folder) for one in spec.verify]
    given = spec.model_dump(
        include={"on_reject", "tries", "then", "temperature", "otherwise", "refine"}, exclude_none=True
    )
    return Verified(
        model,
        checks[0] if len(checks) == 1 else Together(checks, spec.need),
        fallback=None if spec.fallback is None else part(spec.fallback),
        logprobs=any(one.by in _BY_LOGPROBS for one in spec.verify),
        name=name,
        **given,
    )
