"""`--ablate`: what the kept rows teach, beside the dropped ones and chance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_curate import CurateSpec
    from pilotfish.curate.ablate import Ablation

__all__ = ["ablated", "checked"]


def checked(spec: CurateSpec, file: str) -> None:
    """Say at once that nothing tells how to ablate, and not when the rows have been sifted.

    Raises:
        ConfigError: there is no table.
    """
    from pilotfish.errors import ConfigError

    if spec.ablate is None:
        raise ConfigError(f"{file}: --ablate needs a [curate.ablate] table: who is taught, and what it is measured on")


def ablated(models: Collaboration, spec: CurateSpec, folder: Path, *, progress: bool) -> Ablation:
    """Teach and measure, in `ablation` within the folder of the rows.

    Raises:
        DataError: too few rows were kept or dropped, or tested rows are among them.
    """
    from pilotfish.assemble._weights import weights_from
    from pilotfish.curate.ablate import ablate
    from pilotfish.train.settings import Fit

    asked = spec.ablate
    assert asked is not None
    return ablate(
        folder / "kept.jsonl",
        folder / "dropped.jsonl",
        models.folder / asked.test,
        weights_from(asked.student, models.folder),
        folder / "ablation",
        text=spec.text,
        prompt=asked.prompt,
        rows=asked.rows,
        seeds=asked.seeds,
        fit=Fit(**asked.fit.model_dump(exclude_unset=True)),
        length=asked.length,
        catalog=models.catalog,
        progress=progress,
    )
