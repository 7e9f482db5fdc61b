"""From a table of `_specs_aligned` to its model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._specs_aligned import AlignedSpec, BestOfNSpec, RewardSpec

if TYPE_CHECKING:
    from pilotfish.assemble._spec import Spec
    from pilotfish.models.catalog import Catalog

__all__ = ["build_aligned"]


def build_aligned(name: str, spec: Spec, part: Callable[[str], Any], catalog: Catalog, folder: Path) -> Any:
    """Return the model that a table describes.

    Raises:
        ConfigError: a template that lacks the answer, or a reward that is none.
        ModelError: no reward model in the folder.
    """
    if isinstance(spec, RewardSpec):
        from pilotfish.train.reward import RewardModel

        return RewardModel.load(folder / spec.path, catalog)
    if isinstance(spec, AlignedSpec):
        from pilotfish.supervise.aligner import Aligned

        given = spec.model_dump(include={"template", "max_tokens", "draws", "temperature"})
        others = tuple(part(one) for one in spec.others)
        return Aligned(part(spec.model), part(spec.corrector), others=others, name=name, **given)
    assert isinstance(spec, BestOfNSpec)
    from pilotfish.models.best_of import BestOfN

    return BestOfN(part(spec.model), part(spec.reward), spec.n, spec.temperature, spec.label, name)
